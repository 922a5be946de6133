package rpc_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"buf.build/go/protovalidate"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/client"
	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/feed"
	"github.com/lianhu/lianhu/pkg/identity"
	"github.com/lianhu/lianhu/pkg/pgtest"
	"github.com/lianhu/lianhu/pkg/seal"
	"github.com/lianhu/lianhu/pkg/server"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
	personv1 "github.com/lianhu/lianhu/proto/gen/lianhu/person/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/follow"
	"github.com/lianhu/lianhu/services/reporting/internal/rpc"
	"github.com/lianhu/lianhu/services/reporting/internal/store"
)

const (
	trustDomain = "xinbei.test"
	school      = "org/12320411710018221B"
	hospital    = "org/12320411710033296D"
	station     = "police/320411101000"
	other       = "police/320411103000"
	bureau      = "police"
	township    = "township/320411101000"
	farTown     = "township/320411103000"
	lead        = "civil_affairs"
	village     = "320411101201"
	officer     = "police-320411101000-1"
	chief       = "police-320411101000-2"
)

var noon = time.Date(2026, 3, 5, 4, 0, 0, 0, time.UTC)

var loadXinbei = sync.OnceValues(func() (*district.District, error) { return district.Load("../../../../districts/xinbei") })

// house is this service alone: real databases, real mutual TLS, and a business clock that stands still until it is moved.
type house struct {
	t         *testing.T
	database  *pgtest.DB
	db, vault *pgxpool.Pool

	vaultDatabase *pgtest.DB

	engine    *command.Engine
	tables    *store.Tables
	district  *district.District
	sweeper   *custody.Sweeper
	sequencer *feed.Sequencer
	authority *identity.Authority
	dir       string
	address   string
	desk      *rpc.Dispatch
	refused   refusals
	outage    time.Duration // of the replicas served from then on

	mu    sync.Mutex
	now   time.Time
	conns map[string]*grpc.ClientConn
}

func newHouse(t *testing.T) *house {
	t.Helper()
	d, err := loadXinbei()
	if err != nil {
		t.Fatal(err)
	}
	return newHouseIn(t, d)
}

func newHouseIn(t *testing.T, d *district.District) *house {
	t.Helper()
	h := &house{district: d, t: t, now: noon, refused: refusals{slog.Default().Handler(), make(chan string, 1000)}, conns: map[string]*grpc.ClientConn{}, tables: store.NewTables(), dir: t.TempDir()}
	must(t, func() (err error) { h.authority, err = identity.OpenAuthority(h.dir, trustDomain); return })
	h.database, h.vaultDatabase = pgtest.New(t, store.Migrations()), pgtest.New(t, store.VaultMigrations())
	h.db, h.vault = h.database.Open(t), h.vaultDatabase.Open(t)
	h.engine = &command.Engine{DB: h.db, Keys: h.keys("reporting", 7), Service: "reporting", Now: h.clock, Constraints: store.Constraints(), Repeated: store.CountRepetitions(h.db), CalendarIncomplete: d.CountedBlind}
	events := feed.NewServer(h.db, h.engine.Keys, feed.Limits{})
	h.sequencer = feed.NewSequencer(h.db, events.Wake)
	h.sweeper = custody.NewSweeper(h.db, h.clock, follow.Expiries(h.engine, h.tables, h.district)...)
	must(t, func() error { return feed.Check(t.Context(), h.db) })
	h.address, h.desk = h.serve(events)
	return h
}

func must(t *testing.T, do func() error) {
	t.Helper()
	if err := do(); err != nil {
		t.Fatal(err)
	}
}

func (h *house) keys(service string, b byte) *seal.Keys {
	h.t.Helper()
	keys, err := seal.New(service, bytes.Repeat([]byte{b}, 32))
	if err != nil {
		h.t.Fatal(err)
	}
	return keys
}

func (h *house) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

// advance moves business time and fires what has become due.
func (h *house) advance(d time.Duration) {
	h.t.Helper()
	h.mu.Lock()
	h.now = h.now.Add(d)
	h.mu.Unlock()
	must(h.t, func() error { return h.sweeper.Sweep(h.t.Context()) })
}

// refusals tells the reasons of the calls that a server logs, as each ends.
type refusals struct {
	slog.Handler
	reasons chan string
}

// Handle implements slog.Handler.
func (r refusals) Handle(ctx context.Context, line slog.Record) error {
	line.Attrs(func(a slog.Attr) bool {
		if a.Key == "reason" {
			select {
			case r.reasons <- a.Value.String():
			default: // a test that asks makes fewer
			}
		}
		return true
	})
	return r.Handler.Handle(ctx, line)
}

// awaitRefusal waits until a call has ended with the reason.
func (h *house) awaitRefusal(reason string) {
	h.t.Helper()
	for {
		select {
		case got := <-h.refused.reasons:
			if got == reason {
				return
			}
		case <-h.t.Context().Done():
			h.t.Fatalf("no call ended with %s", reason)
		}
	}
}

// serve starts a replica.
func (h *house) serve(events *feed.Server) (address string, dispatch *rpc.Dispatch) {
	t := h.t
	t.Helper()
	validator, err := protovalidate.New()
	if err != nil {
		t.Fatal(err)
	}
	desk := &rpc.Desk{
		Engine: h.engine, Tables: h.tables, Vault: &store.Vault{DB: h.vault, Keys: h.keys("vault", 9)}, District: h.district, Feed: events,
		Repairs:     rpc.Repairs(h.engine, h.district, h.tables),
		AckPatience: time.Second, Outage: h.outage, Validate: func(m proto.Message) error { return validator.Validate(m) },
		Version: func(context.Context) (*accessv1.ServiceVersion, error) {
			return &accessv1.ServiceVersion{Service: "reporting"}, nil
		},
	}
	dispatch = rpc.NewDispatch(desk)
	s, err := server.New(server.Config{
		Identity: h.source(identity.OfService(trustDomain, "reporting")), District: h.district, Now: h.clock, Limits: rpc.Limits(),
		Drain: []func(){events.Drain, dispatch.Drain}, Logger: slog.New(h.refused),
	})
	if err != nil {
		t.Fatal(err)
	}
	rpc.Register(s, desk, dispatch)
	var listen net.ListenConfig
	listener, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = listener.Addr().String()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() {
		if err := s.Serve(ctx, listener); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	running.Go(func() { _ = events.Run(ctx) }) // it only ends with ctx
	t.Cleanup(func() {
		for _, conn := range h.conns {
			_ = conn.Close()
		}
		stop()
		running.Wait()
	})
	return address, dispatch
}

func (h *house) source(id identity.Identity) *identity.Source {
	h.t.Helper()
	leaf, err := h.authority.Issue(id, "127.0.0.1")
	if err != nil {
		h.t.Fatal(err)
	}
	files, err := leaf.Write(h.dir, uuid.NewString())
	if err != nil {
		h.t.Fatal(err)
	}
	source, err := identity.Load(files)
	if err != nil {
		h.t.Fatal(err)
	}
	return source
}

// as is a connection with a unit's certificate; unit may be service/<name>, and carry a system after a colon.
func (h *house) as(unit string) *grpc.ClientConn {
	h.t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if conn, ok := h.conns[unit]; ok {
		return conn
	}
	conn, err := client.Dial(h.address, client.Options{Identity: h.source(identityOf(unit)), Peer: identity.OfService(trustDomain, "reporting")})
	if err != nil {
		h.t.Fatal(err)
	}
	h.conns[unit] = conn
	return conn
}

func identityOf(unit string) identity.Identity {
	if name, ok := strings.CutPrefix(unit, "service/"); ok {
		return identity.OfService(trustDomain, name)
	}
	unit, system, ok := strings.Cut(unit, ":")
	if !ok {
		system = "main"
	}
	return identity.OfUnit(trustDomain, unit, system)
}

func (h *house) do(unit string) reportingv1.ReportingServiceClient {
	return reportingv1.NewReportingServiceClient(h.as(unit))
}

func (h *house) read(unit string) reportingv1.ReportingReadServiceClient {
	return reportingv1.NewReportingReadServiceClient(h.as(unit))
}

func id() string { return uuid.NewString() }

// submission is a report that nothing is wrong with.
func submission(change ...func(*reportingv1.SubmitReportRequest)) *reportingv1.SubmitReportRequest {
	req := &reportingv1.SubmitReportRequest{
		RequestId:         id(),
		Child:             &personv1.Person{Name: "陆小舟", Sex: personv1.Sex_SEX_MALE, BirthDate: "2015-06-01", IdNumber: "320411201506010019"},
		ResidenceDivision: village,
		Situations:        []string{"LIVING_ALONE"},
		DiscoverTime:      timestamppb.New(noon.Add(-30 * time.Minute)),
		Narrative:         "独自居住已两周",
		SchoolUnit:        school,
		Reporter:          &reportingv1.Reporter{Officer: "teacher-17", Name: "贺知秋", Phone: "0519-86000017"},
	}
	for _, c := range change {
		c(req)
	}
	return req
}

// submitted is a report by the school.
func (h *house) submitted() *reportingv1.SubmitReportResponse {
	h.t.Helper()
	got, err := h.do(school).SubmitReport(h.t.Context(), submission())
	if err != nil {
		h.t.Fatal(err)
	}
	return got
}

// accepted is the id of a report that the station has accepted.
func (h *house) accepted() string {
	h.t.Helper()
	report := h.submitted().GetStanding().GetId()
	must(h.t, func() error {
		_, err := h.do(station).AcceptReport(h.t.Context(), &reportingv1.AcceptReportRequest{RequestId: id(), ReportId: report})
		return err
	})
	return report
}

func (h *house) measure(report, code string) *reportingv1.RecordMeasureRequest {
	return &reportingv1.RecordMeasureRequest{RequestId: id(), ReportId: report, Measure: code, Text: "已办", TakeTime: timestamppb.New(h.clock())}
}

// responded is the id of a report whose response is closed.
func (h *house) responded() string {
	h.t.Helper()
	report := h.accepted()
	for _, code := range []string{"ORDER_PARENTS_RETURN", "ADMONISH_PARENTS"} {
		must(h.t, func() error {
			_, err := h.do(station).RecordMeasure(h.t.Context(), h.measure(report, code))
			return err
		})
	}
	must(h.t, func() error {
		_, err := h.do(station).CloseResponse(h.t.Context(), &reportingv1.CloseResponseRequest{RequestId: id(), ReportId: report})
		return err
	})
	return report
}

// bulletin is the id of an issued bulletin.
func (h *house) bulletin() string {
	h.t.Helper()
	got, err := h.do(station).IssueBulletin(h.t.Context(), &reportingv1.IssueBulletinRequest{RequestId: id(), ReportId: h.responded(), Text: "请尽快评估"})
	if err != nil {
		h.t.Fatal(err)
	}
	return got.GetStanding().GetId()
}

// assessment is the id of an assessment the township holds.
func (h *house) assessment() string {
	h.t.Helper()
	got, err := h.do(township).AcknowledgeBulletin(h.t.Context(), &reportingv1.AcknowledgeBulletinRequest{RequestId: id(), BulletinId: h.bulletin()})
	if err != nil {
		h.t.Fatal(err)
	}
	return got.GetAssessmentId()
}

// tally counts the rows of every table of both databases but the count of repeated requests, which is no effect.
func (h *house) tally() map[string]int {
	h.t.Helper()
	counts := map[string]int{}
	for name, pool := range map[string]*pgxpool.Pool{"": h.db, "vault.": h.vault} {
		rows, err := pool.Query(h.t.Context(), "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT IN ('goose_db_version', 'repetition')")
		if err != nil {
			h.t.Fatal(err)
		}
		var tables []string
		for rows.Next() {
			var table string
			must(h.t, func() error { return rows.Scan(&table) })
			tables = append(tables, table)
		}
		for _, table := range tables {
			var n int
			must(h.t, func() error { return pool.QueryRow(h.t.Context(), "SELECT count(*) FROM "+table).Scan(&n) })
			counts[name+table] = n
		}
	}
	return counts
}

// refusal is what a caller sees of an error.
type refusal struct {
	reason, zh, text string
	metadata         map[string]string
	fields           []string
}

func refusalOf(t *testing.T, err error) refusal {
	t.Helper()
	s := status.Convert(err)
	r := refusal{text: s.Code().String() + " " + s.Message()}
	for _, detail := range s.Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			r.reason, r.metadata = d.GetReason(), d.GetMetadata()
		case *errdetails.LocalizedMessage:
			r.zh = d.GetMessage()
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				r.fields = append(r.fields, v.GetField())
			}
		}
	}
	return r
}
