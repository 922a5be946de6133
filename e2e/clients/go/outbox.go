package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	reportingv1 "lianhu-dispatch-example/contract/lianhu/reporting/v1"
)

// Greatest number of the contract, and the most numbers that one frame may give up.
const sequenceMost, voidMost = 1<<53 - 1, 10_000

// Item is an update, or a range of numbers that will never be sent.
type Item struct {
	Update *reportingv1.IncidentUpdate
	Void   *reportingv1.Void
}

// Outbox is what is not known to be durable, in the order in which it is sent. Here it comes from a file; in your system it is a table, into
// which an update is written with its number in the transaction that makes it, and from which it goes when it is acknowledged.
type Outbox struct{ Items []Item }

// gapsNamed is how many gaps the server names at most.
const gapsNamed = 100

// Settle drops what is durable now. Where all gaps are named, everything else up to the greatest number known is; else above the last gap
// nothing is certain.
func (o *Outbox) Settle(through int64, gaps []*reportingv1.SequenceRange, greatest int64) {
	certain := func(from, to int64) bool {
		if to <= through {
			return true
		}
		for _, gap := range gaps {
			if from <= gap.GetTo() && to >= gap.GetFrom() {
				return false
			}
		}
		if len(gaps) < gapsNamed && to <= greatest {
			return true
		}
		return len(gaps) > 0 && to < gaps[len(gaps)-1].GetFrom()
	}
	var left []Item // a new list: what is being sent goes on over the old one
	for _, item := range o.Items {
		from, to := item.Void.GetFrom(), item.Void.GetTo()
		if item.Update != nil {
			from, to = item.Update.GetSequence(), item.Update.GetSequence()
		}
		if !certain(from, to) {
			left = append(left, item)
		}
	}
	o.Items = left
}

// ReadOutbox reads a file with an update or a void on each line.
func ReadOutbox(name string) (*Outbox, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	outbox, known := &Outbox{}, map[int64]*reportingv1.IncidentUpdate{}
	lines := bufio.NewReader(file)
	for number := 1; ; number++ {
		line, end := lines.ReadBytes('\n')
		if end != nil && end != io.EOF {
			return nil, end
		}
		if len(bytes.TrimSpace(line)) > 0 {
			update, void, err := parse(line)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", number, err)
			}
			for void.GetTo() > 0 && void.GetFrom() <= void.GetTo() {
				piece := &reportingv1.Void{From: void.From, To: min(void.To, void.From+voidMost-1), Reason: void.Reason}
				outbox.Items = append(outbox.Items, Item{Void: piece})
				void.From = piece.To + 1
			}
			before := known[update.GetSequence()]
			switch {
			case update == nil || proto.Equal(update, before): // the same line again is the same update
			case before != nil:
				return nil, fmt.Errorf("line %d: number %d stands in the file before, with other content: give this one a number of its own", number, update.Sequence)
			default:
				known[update.Sequence] = update
				outbox.Items = append(outbox.Items, Item{Update: update})
			}
		}
		if end == io.EOF {
			return outbox, nil
		}
	}
}

// parse reads one line: IncidentUpdate in protobuf's JSON form, whose payload may be the object it is, or {"void":{"from":3,"to":5}}.
func parse(line []byte) (*reportingv1.IncidentUpdate, *reportingv1.Void, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(line, &fields); err != nil {
		return nil, nil, err
	}
	if raw, ok := fields["void"]; ok {
		void := &reportingv1.Void{}
		err := protojson.Unmarshal(raw, void)
		if err == nil && (len(fields) > 1 || void.GetFrom() < 1 || void.GetTo() < void.GetFrom() || void.GetTo() > sequenceMost) {
			err = fmt.Errorf("a void goes from a number to one not below it, on a line of its own")
		}
		return nil, void, err
	}
	var payload bytes.Buffer
	if raw := fields["payload"]; bytes.HasPrefix(raw, []byte("{")) {
		if err := json.Compact(&payload, raw); err != nil {
			return nil, nil, err
		}
		delete(fields, "payload")
	}
	envelope, err := json.Marshal(fields)
	if err != nil {
		return nil, nil, err
	}
	update := &reportingv1.IncidentUpdate{}
	if err := protojson.Unmarshal(envelope, update); err != nil {
		return nil, nil, err
	}
	if payload.Len() > 0 {
		update.Payload, update.PayloadFormat = payload.Bytes(), reportingv1.PayloadFormat_PAYLOAD_FORMAT_JSON
	}
	if update.GetSequence() < 1 || update.GetSequence() > sequenceMost {
		return nil, nil, fmt.Errorf("sequence is %d, not from 1 to %d", update.GetSequence(), int64(sequenceMost))
	}
	return update, nil, nil
}
