//go:build holders

package matter

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/lianhu/lianhu/services/suite"
	"github.com/lianhu/lianhu/services/suite/journey"
)

// example is the request of a verb for an item.
func (v verb) example(i held) map[string]any {
	request := map[string]any{}
	if field := ruleOf(v.method).GetSubjectField(); field == i.Kind+"_id" || field == "item_id" {
		request[field] = i.ID
	}
	if v.method.Input().Fields().ByName("incident_number") != nil {
		request["incident_number"] = "${incident_number}"
	}
	maps.Copy(request, v.Request)
	return request
}

// facts are the values that examples may name.
func (w *watch) facts(ctx context.Context, i held) map[string]string {
	w.t.Helper()
	vars := map[string]string{"id": i.ID, "holder": i.Holder, "offered_to": i.OfferedTo, "kind": i.Kind, "elsewhere": "police/320411103000", "other_township": "township/320411103000", "shelter": "org/1232041171003466XF"}
	if sql := w.verbs.Items[i.Kind].Facts; sql != "" {
		for _, row := range collect(ctx, w, i.Area, sql, pgx.RowToMap, i.ID) {
			for name, value := range row {
				vars[name] = fmt.Sprint(value)
			}
		}
	}
	answer, refusal := w.read(ctx, i, i.Holder, vars)
	if refusal != "" {
		return vars // who cannot read it is told of elsewhere
	}
	for name, path := range w.verbs.Items[i.Kind].Answers {
		vars[name] = fieldAt(answer.ProtoReflect(), path).String()
	}
	if i.Kind == "batch" && i.State != "FROZEN" {
		vars["bank_return"], vars["bank_return_sha256"] = w.bankReturn(ctx, i)
	}
	return vars
}

// fieldAt is what stands at a path of field names.
func fieldAt(m protoreflect.Message, path string) protoreflect.Value {
	name, rest, deeper := strings.Cut(path, ".")
	value := m.Get(m.Descriptor().Fields().ByName(protoreflect.Name(name)))
	if deeper {
		return fieldAt(value.Message(), rest)
	}
	return value
}

// bankReturn plays the bank for an exported batch: all is paid.
func (w *watch) bankReturn(ctx context.Context, i held) (content, digest string) {
	w.t.Helper()
	method, err := find("lianhu.relief.v1.ReliefReadService.GetBatchFile")
	if err != nil {
		w.t.Fatal(err)
	}
	answer, refusal := w.tried(ctx, i.Holder, method, map[string]any{"batch_id": i.ID}, nil)
	if refusal != "" {
		return "", "" // it has not been exported
	}
	file := fieldAt(answer.ProtoReflect(), "content").Bytes()
	returned, err := journey.BankReturn(w.District.Bank(), file, w.now, func(string) string { return "00" })
	if err != nil {
		w.t.Fatal(err)
	}
	sum := sha256.Sum256(returned)
	return base64.StdEncoding.EncodeToString(returned), hex.EncodeToString(sum[:])
}

// knownHoles are those that stand there today; the file goes with the last of them.
func knownHoles(t *testing.T) map[string]bool {
	t.Helper()
	known := map[string]bool{}
	content, err := os.ReadFile("known_holes.txt")
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		known[strings.TrimSpace(line)] = true
	}
	return known
}

// kept reports whether an offer of an item to a unit need not be declinable.
func (t *verbTable) kept(kind, unit string) bool {
	k, ok := t.Kept[kind]
	return ok && (k.Unit == "" || k.Unit == unit)
}

// of lists the verbs of a sort of item.
func (t *verbTable) of(kind string) (verbs []verb) {
	for _, v := range t.Verbs {
		if v.None == "" && slices.Contains(v.kinds(), kind) {
			verbs = append(verbs, v)
		}
	}
	return verbs
}

// administrator is a connection for a whole test.
func administrator(ctx context.Context, t *testing.T, home suite.Home, database string) *pgx.Conn {
	t.Helper()
	conn, err := connect(ctx, home, database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(ctx)) })
	return conn
}
