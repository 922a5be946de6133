package rpc

import (
	"google.golang.org/grpc"

	"github.com/lianhu/lianhu/pkg/server"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// Register adds all services of this area to a server.
func Register(s grpc.ServiceRegistrar, d *Desk, dispatch *Dispatch) {
	reportingv1.RegisterReportingServiceServer(s, &Commands{Desk: d})
	reportingv1.RegisterReportingReadServiceServer(s, &Reads{Desk: d})
	reportingv1.RegisterMatterServiceServer(s, &Matters{Desk: d})
	reportingv1.RegisterResponseServiceServer(s, &Response{Desk: d})
	reportingv1.RegisterPoliceReportServiceServer(s, &Police{Desk: d})
	reportingv1.RegisterReporterServiceServer(s, &Reporters{Desk: d})
	reportingv1.RegisterLeadServiceServer(s, &Leads{Desk: d})
	reportingv1.RegisterBulletinServiceServer(s, &Bulletins{Desk: d})
	reportingv1.RegisterAssessmentServiceServer(s, &Assessments{Desk: d})
	reportingv1.RegisterResponseReadServiceServer(s, &ResponseReads{Desk: d})
	reportingv1.RegisterFilingServiceServer(s, &Filings{Desk: d})
	reportingv1.RegisterFilingReadServiceServer(s, &FilingReads{Reads: &Reads{Desk: d}})
	supervisions := &Supervisions{Desk: d}
	reportingv1.RegisterSupervisionServiceServer(s, supervisions)
	reportingv1.RegisterSupervisionReadServiceServer(s, supervisions)
	reportingv1.RegisterDispatchServiceServer(s, dispatch)
	incidents := &Incidents{Desk: d}
	reportingv1.RegisterIncidentServiceServer(s, incidents)
	reportingv1.RegisterIncidentReadServiceServer(s, incidents)
	reportingv1.RegisterIntegrationServiceServer(s, &Integration{Desk: d})
	reportingv1.RegisterReportingFeedServiceServer(s, &Feed{Desk: d})
	reportingv1.RegisterReportingOperationsServiceServer(s, &Operations{Desk: d})
}

// Limits of the methods: a batch of the police may carry several large payloads, and what children in danger depend on is shed
// last.
func Limits() server.Limits {
	const push, stream = reportingv1.DispatchService_PushIncidentUpdateBatch_FullMethodName, reportingv1.DispatchService_PushIncidentUpdates_FullMethodName
	const submit = reportingv1.ReportingService_SubmitReport_FullMethodName
	return server.Limits{
		MessageBytesOf: map[string]int{push: frameBytes, stream: frameBytes},
		Of:             map[string]int{push: 512, submit: 512},
	}
}
