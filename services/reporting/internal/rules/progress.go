package rules

import reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"

// Progress is what a reporter is told of a matter: how far it has come and whom to ask. assessments are those of the report's children;
// as long as one child is being assessed, the matter is.
func Progress(r *reportingv1.Report, assessments []*reportingv1.Assessment) (reportingv1.GetReportStatusResponse_Progress, string) {
	for _, a := range assessments {
		switch a.GetState() {
		case reportingv1.Assessment_STATE_OPEN, reportingv1.Assessment_STATE_IN_PROGRESS:
			return reportingv1.GetReportStatusResponse_PROGRESS_ASSESSING, a.GetStanding().GetHolder()
		}
	}
	switch r.GetState() {
	case reportingv1.Report_STATE_CLOSED:
		return reportingv1.GetReportStatusResponse_PROGRESS_CONCLUDED, ""
	case reportingv1.Report_STATE_ENDED:
		return reportingv1.GetReportStatusResponse_PROGRESS_ENDED, ""
	case reportingv1.Report_STATE_HANDED_OVER:
		return reportingv1.GetReportStatusResponse_PROGRESS_HANDED_OVER, ""
	}
	holder := r.GetStanding().GetHolder()
	switch {
	case r.GetResponseCloseTime() != nil:
		return reportingv1.GetReportStatusResponse_PROGRESS_RESPONDED, holder
	case r.GetAcceptTime() != nil:
		return reportingv1.GetReportStatusResponse_PROGRESS_RESPONDING, holder
	default:
		return reportingv1.GetReportStatusResponse_PROGRESS_RECEIVED, holder
	}
}
