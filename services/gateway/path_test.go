package gateway_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"google.golang.org/grpc"

	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// Whatever a number that somebody else gave is made of, the place it stands at can be asked for: each character arrives as it was meant.
func TestAnyNumberCanStandInAPath(t *testing.T) {
	t.Parallel()
	h := newHouse(t, map[string]behind{"reporting": func(method string, stream grpc.ServerStream) error {
		if method == reportingv1.IncidentService_EndIncident_FullMethodName {
			q := &reportingv1.EndIncidentRequest{}
			if err := stream.RecvMsg(q); err != nil {
				return err
			}
			return stream.SendMsg(&reportingv1.EndIncidentResponse{State: reportingv1.Incident_State(len(q.GetIncidentNumber()))})
		}
		q := &reportingv1.GetIncidentRequest{}
		if err := stream.RecvMsg(q); err != nil {
			return err
		}
		return stream.SendMsg(&reportingv1.GetIncidentResponse{Incident: &reportingv1.Incident{IncidentNumber: q.GetIncidentNumber()}})
	}})
	c := h.browser(t, township)
	for _, number := range []string{"a/b", "a%2Fb", "100%", "..", "a..b", "a b", "a+b", "接警〔2026〕1号", "a:link", ":end", "a?b#c", "police/320411101000", "%zz", "a//b", "~-_.!*'();&=@,$[]"} {
		status, content := h.ask(t, c, http.MethodGet, "/v1/reporting/incidents/"+escaped(number), "", nil)
		var got struct {
			Incident struct{ IncidentNumber string }
		}
		if err := json.Unmarshal([]byte(content), &got); err != nil {
			t.Fatalf("%q: %d %s", number, status, content)
		}
		if status != http.StatusOK || got.Incident.IncidentNumber != number {
			t.Errorf("%q: %d, arrived as %q", number, status, got.Incident.IncidentNumber)
		}
	}
	if status, content := h.ask(t, c, http.MethodPost, "/v1/reporting/incidents/a%2Fb:end", "{}", nil); status != http.StatusOK {
		t.Errorf("a verb: %d %s", status, content)
	}
}

// escaped writes each character but letters and digits as %XX.
func escaped(number string) string {
	return strings.NewReplacer(":", "%3A", ".", "%2E").Replace(url.PathEscape(number))
}
