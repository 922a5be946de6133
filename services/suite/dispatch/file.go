package dispatch

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"

	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// lineBytes is the longest line: a payload of 1 MiB in base64, and its envelope.
const lineBytes = 2 << 20

// sequenceMost is the greatest number of the contract.
const sequenceMost = 1<<53 - 1

// File is an outbox that lies on the disk, one item on each line.
type File struct {
	from  io.ReaderAt
	lines []line
	// numbers of all lines, sorted, each once.
	numbers ranges
	// Twice are numbers that stand on several lines, with the later line.
	Twice []Repeated
}

// Repeated is a number that a file holds again.
type Repeated struct {
	Sequence int64
	Line     int
}

// line is where an item lies in a file. An update has from and to alike.
type line struct {
	number   int
	offset   int64
	length   int
	from, to int64
}

// ReadFile looks through a file and keeps where each line lies; the first line that is no item is an error that names it. It reads the file
// again while it is pushed, so the file must stay.
func ReadFile(file *os.File) (*File, error) {
	f := &File{from: file}
	reader := bufio.NewReaderSize(file, 1<<16)
	offset := int64(0)
	for number := 1; ; number++ {
		raw, err := reader.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if len(raw) > lineBytes {
			return nil, fmt.Errorf("line %d holds %d bytes, more than the largest update: split the file into lines", number, len(raw))
		}
		if len(bytes.TrimSpace(raw)) > 0 {
			item, err := ParseLine(raw)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", number, err)
			}
			from, to := item.span()
			if f.numbers.add(from, to) {
				f.Twice = append(f.Twice, Repeated{from, number})
			}
			f.lines = append(f.lines, line{number, offset, len(raw), from, to})
		}
		offset += int64(len(raw))
		if err != nil {
			return f, nil
		}
	}
}

// Numbers counts the numbers that the file sends or gives up.
func (f *File) Numbers() int64 { return f.numbers.through(sequenceMost) }

// Through counts the numbers of the file at or below n.
func (f *File) Through(n int64) int64 { return f.numbers.through(n) }

// Gaps lists the numbers the file leaves out between its first and its last.
func (f *File) Gaps() []*reportingv1.SequenceRange { return f.numbers.gaps() }

// Outbox gives the lines in the order of the file.
func (f *File) Outbox(ctx context.Context, above int64) iter.Seq2[*Item, error] {
	return func(yield func(*Item, error) bool) {
		for _, l := range f.lines {
			if l.to <= above {
				continue
			}
			if ctx.Err() != nil {
				return
			}
			item, err := f.read(l)
			if !yield(item, err) || err != nil {
				return
			}
		}
	}
}

func (f *File) read(l line) (*Item, error) {
	raw := make([]byte, l.length)
	if _, err := f.from.ReadAt(raw, l.offset); err != nil {
		return nil, fmt.Errorf("line %d: %w", l.number, err)
	}
	item, err := ParseLine(raw)
	if err != nil {
		return nil, fmt.Errorf("line %d has changed while it was pushed: %w", l.number, err)
	}
	return item, nil
}

// span gives the numbers an item takes.
func (i *Item) span() (from, to int64) {
	if i.Void != nil {
		return i.Void.GetFrom(), i.Void.GetTo()
	}
	return i.Update.GetSequence(), i.Update.GetSequence()
}

// ParseLine reads one line: IncidentUpdate in protobuf's JSON form, where payload may be written as the object it is instead of base64, or
// {"void": {"from": 3, "to": 5, "reason": "…"}}. The bytes of an object are the payload, blanks between its parts left out.
func ParseLine(raw []byte) (*Item, error) {
	if !utf8.Valid(raw) {
		return nil, errors.New("is not UTF-8; a file in GBK is brought into it by `iconv -f GB18030 -t UTF-8`")
	}
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, fmt.Errorf("is no JSON object: %w", err)
	}
	if name := twice(raw); name != "" {
		return nil, fmt.Errorf("says %q twice; which one counts nobody can tell", name)
	}
	if void, ok := fields["void"]; ok {
		return parseVoid(void, len(fields))
	}
	update := &reportingv1.IncidentUpdate{}
	payload := fields["payload"]
	if bytes.HasPrefix(payload, []byte("{")) {
		var compact bytes.Buffer
		if err := json.Compact(&compact, payload); err != nil {
			return nil, err
		}
		payload = compact.Bytes()
		delete(fields, "payload")
	} else {
		payload = nil
	}
	envelope, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	if err := protojson.Unmarshal(envelope, update); err != nil {
		return nil, fmt.Errorf("is no IncidentUpdate: %w", err)
	}
	if payload != nil {
		update.Payload, update.PayloadFormat = payload, reportingv1.PayloadFormat_PAYLOAD_FORMAT_JSON
	}
	if n := update.GetSequence(); n < 1 || n > sequenceMost {
		return nil, fmt.Errorf("sequence is %d, not from 1 to %d", n, int64(sequenceMost))
	}
	return &Item{Update: update}, nil
}

func parseVoid(raw []byte, fields int) (*Item, error) {
	void := &reportingv1.Void{}
	if fields > 1 {
		return nil, errors.New("a void stands on a line of its own")
	}
	if err := protojson.Unmarshal(raw, void); err != nil {
		return nil, fmt.Errorf("is no Void: %w", err)
	}
	if void.GetFrom() < 1 || void.GetTo() < void.GetFrom() || void.GetTo() > sequenceMost {
		return nil, fmt.Errorf("the void goes from %d to %d", void.GetFrom(), void.GetTo())
	}
	return &Item{Void: void}, nil
}

// ranges is a set of numbers as sorted ranges that do not touch.
type ranges []*reportingv1.SequenceRange

// add puts numbers in and tells whether any of them was there.
func (r *ranges) add(from, to int64) (again bool) {
	// the first range that reaches to where ours begins, or touches it; in a sorted file that is the last one
	i := len(*r)
	for i > 0 && (*r)[i-1].GetTo() >= from-1 {
		i--
	}
	j, merged := i, &reportingv1.SequenceRange{From: from, To: to}
	for ; j < len(*r) && (*r)[j].GetFrom() <= to+1; j++ {
		other := (*r)[j]
		again = again || other.GetFrom() <= to && other.GetTo() >= from
		merged.From, merged.To = min(merged.GetFrom(), other.GetFrom()), max(merged.GetTo(), other.GetTo())
	}
	*r = slices.Replace(*r, i, j, merged)
	return again
}

func (r ranges) through(n int64) (count int64) {
	for _, one := range r {
		if one.GetFrom() <= n {
			count += min(one.GetTo(), n) - one.GetFrom() + 1
		}
	}
	return count
}

func (r ranges) gaps() (out []*reportingv1.SequenceRange) {
	for i := 1; i < len(r); i++ {
		out = append(out, &reportingv1.SequenceRange{From: r[i-1].GetTo() + 1, To: r[i].GetFrom() - 1})
	}
	return out
}
