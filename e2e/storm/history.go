package storm

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// Outcome is how an operation ended for its caller.
type Outcome string

// The outcomes of an operation.
const (
	// Acknowledged has an answer; its effect must last.
	Acknowledged Outcome = "acknowledged"
	// Refused has a typed refusal; it must have no effect.
	Refused Outcome = "refused"
	// Unanswered never got either, however often it was repeated: in the end that is a finding.
	Unanswered Outcome = "unanswered"
	// Defect got an INTERNAL or an untyped error: always a finding.
	Defect Outcome = "defect"
)

// Op is one operation of a client from its first attempt to its answer, repetitions included.
type Op struct {
	// N numbers the operations of a storm.
	N int `json:"n"`
	// Actor is the client.
	Actor string `json:"actor"`
	// Unit is whose certificate was used.
	Unit string `json:"unit"`
	// Purpose and Officer as sent.
	Purpose string `json:"purpose,omitempty"`
	Officer string `json:"officer,omitempty"`
	// Method is the full gRPC method.
	Method string `json:"method"`
	// RequestID of a mutation.
	RequestID string `json:"request_id,omitempty"`
	// Begin of the first attempt and End of the last one, since the storm began.
	Begin time.Duration `json:"begin"`
	End   time.Duration `json:"end,omitempty"`
	// Outcome, empty while it runs; Reason, with what it says beside, and Tries belong to it.
	Outcome  Outcome           `json:"outcome,omitempty"`
	Reason   string            `json:"reason,omitempty"`
	Metadata map[string]string `json:"metadata,omitempty"`
	Tries    int               `json:"tries,omitempty"`

	// Request and Answer as sent and received.
	Request proto.Message `json:"-"`
	Answer  proto.Message `json:"-"`
}

// history keeps every invocation and answer, in memory for the checkers and in a file of JSON lines for people.
type history struct {
	mu     sync.Mutex
	begun  time.Time
	file   *os.File
	out    *bufio.Writer
	next   int
	ops    []*Op
	counts map[Outcome]int
}

func newHistory(path string) (*history, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("storm: the history: %w", err)
	}
	return &history{begun: time.Now(), file: file, out: bufio.NewWriter(file), counts: map[Outcome]int{}}, nil
}

// now is the time since the storm began; it never goes back.
func (h *history) now() time.Duration { return time.Since(h.begun) }

// line is what the file says of one invocation, answer or fault.
type line struct {
	What string `json:"what"`
	*Op
	Message json.RawMessage `json:"message,omitempty"`
	Fault   string          `json:"fault,omitempty"`
	At      time.Duration   `json:"at"`
}

func (h *history) write(l line) {
	l.At = h.now()
	if content, err := json.Marshal(l); err == nil {
		_, _ = h.out.Write(append(content, '\n')) // Close reports the writer's first error
	}
}

func raw(m proto.Message) json.RawMessage {
	if m == nil {
		return nil
	}
	content, err := protojson.Marshal(m)
	if err != nil {
		return nil
	}
	return content
}

// invoke notes that an operation begins.
func (h *history) invoke(op *Op) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.next++
	op.N, op.Begin = h.next, h.now()
	h.write(line{What: "invoke", Op: op, Message: raw(op.Request)})
}

// answer notes how it ended.
func (h *history) answer(op *Op) {
	h.mu.Lock()
	defer h.mu.Unlock()
	op.End = h.now()
	h.ops = append(h.ops, op)
	h.counts[op.Outcome]++
	h.write(line{What: "answer", Op: op, Message: raw(op.Answer)})
}

// fault notes what was done to the suite.
func (h *history) fault(text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.write(line{What: "fault", Fault: text})
}

// acknowledged counts, updates of the dispatch streams included.
func (h *history) acknowledged() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.counts[Acknowledged]
}

// take gives the operations so far and begins a new list: a soak keeps only one round in memory.
func (h *history) take() []*Op {
	h.mu.Lock()
	defer h.mu.Unlock()
	ops := h.ops
	h.ops = nil
	return ops
}

func (h *history) close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return errors.Join(h.out.Flush(), h.file.Close())
}
