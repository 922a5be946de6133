package journey

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/client"
	"github.com/lianhu/lianhu/pkg/district"
)

// World is what a player needs of a running suite.
type World struct {
	// Dial gives a connection to the gateway with the certificate of a unit, or of a unit's system as `unit:system`.
	Dial func(unit string) (grpc.ClientConnInterface, error)
	// Advance moves business time and answers when everything has settled.
	Advance func(ctx context.Context, by time.Duration) (time.Time, error)
	// District for the bank's layout.
	District *district.District
	// Seed of the run: the people, and with them every request id.
	Seed uint64
	// Told is called after each step, in order; nil tells nobody.
	Told func(Told)
}

// Told is one line of the timeline.
type Told struct {
	// Step as written.
	Step Step
	// Number of the step, from 1, and how many there are.
	Number, Of int
	// Now is business time after the step.
	Now time.Time
	// Answer in the contract's JSON form with proto names; empty for what is no call.
	Answer map[string]any
	// Refused is the reason of the refusal that was expected.
	Refused string
}

// namespace of the request ids of journeys.
var namespace = uuid.MustParse("0f7b2f33-3c3f-5d2c-8d0f-9a1c5c1c7e55")

// play is one run.
type play struct {
	World
	journey *Journey
	cel     *cel.Env
	vars    map[string]any
	now     time.Time
	// outboxes of the dispatch systems, by source.
	outboxes map[string]*outbox
}

// Play plays a journey from the beginning and answers its variables. The first thing that is not as written ends it with an
// error that names the step. Playing again with the same seed repeats the same requests, which have one effect.
func (j *Journey) Play(ctx context.Context, w World) (map[string]any, error) {
	env, err := cel.NewEnv(cel.Variable("answer", cel.DynType), cel.Variable("vars", cel.DynType))
	if err != nil {
		return nil, err
	}
	now, err := w.Advance(ctx, 0)
	if err != nil {
		return nil, fmt.Errorf("journey: ask the time: %w", err)
	}
	p := &play{World: w, journey: j, cel: env, now: now, vars: Invent(j.People, w.Seed, now), outboxes: map[string]*outbox{}}
	maps.Copy(p.vars, j.Values)
	p.vars["run"] = fmt.Sprint(w.Seed)
	p.tick(now)
	for i, s := range j.Steps {
		told, err := p.step(ctx, i, s)
		if err != nil {
			return p.vars, fmt.Errorf("journey %s, step %d (%s): %w", j.Name, i+1, s.EN, err)
		}
		if w.Told != nil {
			if who, err := p.text(s.As); err == nil {
				s.As = fmt.Sprint(who)
			}
			told.Step, told.Number, told.Of, told.Now = s, i+1, len(j.Steps), p.now
			w.Told(told)
		}
	}
	return p.vars, nil
}

// tick takes over business time; `${now}`, `${today}` and `${next_year}` follow it.
func (p *play) tick(now time.Time) {
	p.now = now
	local := now.In(calendar.Zone())
	p.vars["now"], p.vars["today"] = now.UTC().Format(time.RFC3339Nano), local.Format(time.DateOnly)
	p.vars["next_year"] = local.AddDate(1, 0, -1).Format(time.DateOnly)
}

func (p *play) step(ctx context.Context, i int, s Step) (Told, error) {
	switch {
	case s.Advance != nil:
		now, err := p.Advance(ctx, time.Duration(*s.Advance))
		if err == nil {
			p.tick(now)
		}
		return Told{}, err
	case s.Bank != nil:
		return Told{}, p.bank(*s.Bank)
	case s.Push != nil:
		return Told{}, p.push(ctx, s)
	}
	return p.call(ctx, i, s)
}

func (p *play) call(ctx context.Context, i int, s Step) (Told, error) {
	answer, err := p.invoke(ctx, i, s)
	if s.Refused != "" {
		return Told{Refused: s.Refused}, p.refusal(s, err)
	}
	if err != nil {
		return Told{}, describe(err)
	}
	names := slices.Sorted(maps.Keys(s.Save))
	for _, name := range names {
		value, err := p.evaluate(s.Save[name], answer)
		if err != nil {
			return Told{}, fmt.Errorf("save %s: %w", name, err)
		}
		p.vars[name] = value
	}
	for _, condition := range s.Check {
		value, err := p.evaluate(condition, answer)
		if err != nil {
			return Told{}, fmt.Errorf("check %s: %w", condition, err)
		}
		if value != true {
			return Told{}, fmt.Errorf("%s does not hold", condition)
		}
	}
	return Told{Answer: answer}, nil
}

// invoke makes the call and answers it as JSON values; for a server stream, `{"messages": […]}`.
func (p *play) invoke(ctx context.Context, i int, s Step) (map[string]any, error) {
	method, err := find(s.Call)
	if err != nil {
		return nil, err
	}
	request, err := p.request(method.Input(), i, s.Request)
	if err != nil {
		return nil, err
	}
	unit, err := p.expand(s.As)
	if err != nil {
		return nil, err
	}
	conn, err := p.Dial(fmt.Sprint(unit))
	if err != nil {
		return nil, err
	}
	md := metadata.MD{}
	if s.Purpose != "" {
		md.Set(access.KeyPurpose, s.Purpose)
	}
	if s.Officer != "" {
		md.Set(access.KeyOfficer, s.Officer)
	}
	ctx = metadata.NewOutgoingContext(ctx, md)
	path := "/" + s.Call
	if !method.IsStreamingServer() {
		answer := newMessage(method.Output())
		bounded, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		if err := conn.Invoke(bounded, path, request, answer); err != nil {
			return nil, err
		}
		return plain(answer)
	}
	return receive(ctx, conn, path, method, request)
}

func receive(ctx context.Context, conn grpc.ClientConnInterface, path string, method protoreflect.MethodDescriptor, request proto.Message) (map[string]any, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, path)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(stream.SendMsg(request), stream.CloseSend()); err != nil {
		return nil, err
	}
	var messages []any
	for {
		answer := newMessage(method.Output())
		if err := stream.RecvMsg(answer); errors.Is(err, io.EOF) {
			return map[string]any{"messages": messages}, nil
		} else if err != nil {
			return nil, err
		}
		values, err := plain(answer)
		if err != nil {
			return nil, err
		}
		messages = append(messages, values)
	}
}

// request builds the message, with a request_id that follows from journey, seed and step.
func (p *play) request(input protoreflect.MessageDescriptor, i int, written map[string]any) (proto.Message, error) {
	expanded, err := p.expand(written)
	if err != nil {
		return nil, err
	}
	values, _ := expanded.(map[string]any)
	if values == nil {
		values = map[string]any{}
	}
	if _, given := values["request_id"]; !given && input.Fields().ByName("request_id") != nil {
		values["request_id"] = uuid.NewSHA1(namespace, fmt.Appendf(nil, "%s/%d/%d", p.journey.Name, p.Seed, i)).String()
	}
	raw, err := json.Marshal(values)
	if err != nil {
		return nil, err
	}
	message := newMessage(input)
	if err := protojson.Unmarshal(raw, message); err != nil {
		return nil, fmt.Errorf("the request does not fit the contract: %w", err)
	}
	return message, nil
}

// expand puts variables in. A text that is one variable takes its value as it is; inside a longer text it is printed.
func (p *play) expand(written any) (any, error) {
	switch w := written.(type) {
	case string:
		return p.text(w)
	case map[string]any:
		out := make(map[string]any, len(w))
		for key, value := range w {
			expanded, err := p.expand(value)
			if err != nil {
				return nil, err
			}
			out[key] = expanded
		}
		return out, nil
	case []any:
		out := make([]any, len(w))
		for i, value := range w {
			expanded, err := p.expand(value)
			if err != nil {
				return nil, err
			}
			out[i] = expanded
		}
		return out, nil
	default:
		return w, nil
	}
}

func (p *play) text(s string) (any, error) {
	var missing error
	look := func(path string) any {
		var value any = p.vars
		for _, step := range strings.Split(path, ".") {
			fields, ok := value.(map[string]any)
			if value = fields[step]; !ok || value == nil {
				missing = fmt.Errorf("nothing is called %s", path)
				return nil
			}
		}
		return value
	}
	if inner, ok := strings.CutPrefix(s, "${"); ok && strings.Count(s, "${") == 1 && strings.HasSuffix(s, "}") {
		value := look(strings.TrimSuffix(inner, "}"))
		return value, missing
	}
	out := os.Expand(s, func(path string) string { return fmt.Sprint(look(path)) })
	return out, missing
}

func (p *play) evaluate(expression string, answer map[string]any) (any, error) {
	ast, issues := p.cel.Compile(expression)
	if err := issues.Err(); err != nil {
		return nil, err
	}
	program, err := p.cel.Program(ast)
	if err != nil {
		return nil, err
	}
	value, _, err := program.Eval(map[string]any{"answer": answer, "vars": p.vars})
	if err != nil {
		return nil, err
	}
	return value.Value(), nil
}

// refusal compares a refusal with what is written.
func (p *play) refusal(s Step, err error) error {
	if err == nil {
		return fmt.Errorf("it was not refused; %s was expected", s.Refused)
	}
	var info *errdetails.ErrorInfo
	var zh string
	named := map[string]bool{}
	for _, detail := range status.Convert(err).Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			info = d
		case *errdetails.LocalizedMessage:
			zh = d.GetMessage()
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				named[v.GetField()] = true
			}
		}
	}
	if info.GetReason() != s.Refused {
		return fmt.Errorf("%s was expected: %w", s.Refused, describe(err))
	}
	if zh == "" {
		return errors.New("the refusal has no zh-CN text")
	}
	for key, want := range s.Metadata {
		expanded, err := p.expand(want)
		if err != nil {
			return err
		}
		if got := info.GetMetadata()[key]; got != fmt.Sprint(expanded) {
			return fmt.Errorf("metadata %s is %q, want %q", key, got, expanded)
		}
	}
	for _, field := range s.Fields {
		if !named[field] {
			return fmt.Errorf("the refusal does not name the field %s but %v", field, slices.Sorted(maps.Keys(named)))
		}
	}
	return nil
}

// describe tells a refusal by reason and text.
func describe(err error) error {
	if told := client.Refusal(err); told != nil {
		return fmt.Errorf("refused with %s: %s %v", told.GetReason(), status.Convert(err).Message(), told.GetMetadata())
	}
	return err
}

func find(call string) (protoreflect.MethodDescriptor, error) {
	service, name, ok := strings.Cut(call, "/")
	descriptor, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
	if err != nil || !ok {
		return nil, fmt.Errorf("the contract has no %s", call)
	}
	s, ok := descriptor.(protoreflect.ServiceDescriptor)
	if !ok || s.Methods().ByName(protoreflect.Name(name)) == nil {
		return nil, fmt.Errorf("the contract has no %s", call)
	}
	return s.Methods().ByName(protoreflect.Name(name)), nil
}

func newMessage(descriptor protoreflect.MessageDescriptor) proto.Message {
	kind, err := protoregistry.GlobalTypes.FindMessageByName(descriptor.FullName())
	if err != nil {
		panic("journey: " + string(descriptor.FullName()) + " is not linked in") // found by the first test that plays
	}
	return kind.New().Interface()
}

func plain(m proto.Message) (map[string]any, error) {
	raw, err := protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}.Marshal(m)
	if err != nil {
		return nil, err
	}
	out := map[string]any{}
	return out, json.Unmarshal(raw, &out)
}
