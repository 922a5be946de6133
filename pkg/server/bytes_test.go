package server_test

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/timestamppb"

	specimenv1 "github.com/lianhu/lianhu/pkg/internal/specimen/v1"
)

// bytesOf is a field as it stands on the wire.
func bytesOf(number protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), value)
}

// A string that is no UTF-8 is the caller's mistake and has its field's name, wherever it stands and however it comes.
func TestAStringThatIsNoUTF8IsNamed(t *testing.T) {
	t.Parallel()
	h := start(t, echo(), nil)
	police := h.as(t, station())
	bad := []byte("a\xffb")
	for want1, wire := range map[string][]byte{
		"remark":        bytesOf(6, bad),
		"lines[0].seen": bytesOf(8, bytesOf(2, bad)),
		"lines[1].seen": append(bytesOf(8, bytesOf(2, []byte("fine"))), bytesOf(8, bytesOf(2, bad))...),
		"labels":        bytesOf(7, append(bytesOf(1, bad), bytesOf(2, []byte("x"))...)),
		"request_id":    bytesOf(1, bad),
		"message":       {0x0a},
	} {
		request := &specimenv1.ChangeTicketRequest{}
		request.ProtoReflect().SetUnknown(wire)
		if got := want(t, invoke(t.Context(), police, change, request), codes.InvalidArgument, "FIELD_INVALID"); !slices.Equal(got.fields, []string{want1}) {
			t.Errorf("a call names %v, want %s", got.fields, want1)
		}
		_, err := open(t, police, push, request)
		if got := want(t, err, codes.InvalidArgument, "FIELD_INVALID"); !slices.Equal(got.fields, []string{want1}) {
			t.Errorf("a stream names %v, want %s", got.fields, want1)
		}
	}
	// Nobody sends our own mark and is answered; and who may not call learns nothing of the content.
	request := valid()
	request.ProtoReflect().SetUnknown(bytesOf(19077, []byte("remark")))
	want(t, invoke(t.Context(), police, change, request), codes.InvalidArgument, "FIELD_INVALID")
	request.ProtoReflect().SetUnknown(bytesOf(6, bad))
	want(t, invoke(t.Context(), h.unit(t, "org/1232041171001137XA"), change, request), codes.PermissionDenied, "METHOD_NOT_ALLOWED")
}

// A date is a day between 1900 and a hundred years after today, by business time.
func TestAnAbsurdDateIsRefused(t *testing.T) {
	t.Parallel()
	h := start(t, echo(), nil)
	police := h.as(t, station())
	send := func(due *timestamppb.Timestamp) error {
		request := valid()
		request.DueTime = due
		return invoke(t.Context(), police, change, request)
	}
	zone := now.Location()
	for _, due := range []*timestamppb.Timestamp{
		timestamppb.New(time.Time{}), timestamppb.New(time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)), {Seconds: 1 << 62}, {Seconds: -1 << 62}, {Nanos: -1},
		timestamppb.New(time.Date(1899, 12, 31, 23, 59, 59, 0, zone)), timestamppb.New(time.Date(2126, 3, 3, 0, 0, 0, 0, zone)),
		timestamppb.New(time.Date(9999, 12, 31, 0, 0, 0, 0, zone)),
	} {
		if got := want(t, send(due), codes.InvalidArgument, "FIELD_INVALID"); !slices.Equal(got.fields, []string{"due_time"}) {
			t.Errorf("%v: %v", due, got.fields)
		}
	}
	for _, due := range []time.Time{time.Date(1900, 1, 1, 0, 0, 0, 0, zone), time.Date(2126, 3, 2, 23, 59, 59, 0, zone)} {
		if err := send(timestamppb.New(due)); err != nil {
			t.Errorf("%v: %v", due, err)
		}
	}
}
