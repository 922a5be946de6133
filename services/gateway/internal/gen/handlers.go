// Package gen holds the generated JSON stubs and the OpenAPI document; this file alone is written by hand.
package gen

import (
	"context"
	_ "embed" // the OpenAPI document

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"

	referralgw "github.com/lianhu/lianhu/services/gateway/internal/gen/lianhu/referral/v1"
	registrygw "github.com/lianhu/lianhu/services/gateway/internal/gen/lianhu/registry/v1"
	reliefgw "github.com/lianhu/lianhu/services/gateway/internal/gen/lianhu/relief/v1"
	reportinggw "github.com/lianhu/lianhu/services/gateway/internal/gen/lianhu/reporting/v1"
)

// OpenAPI is the document of the JSON surface, OpenAPI 3.1.
//
//go:embed openapi.json
var OpenAPI []byte

// Register adds the HTTP rules of one gRPC service to a mux.
type Register func(ctx context.Context, mux *runtime.ServeMux, conn *grpc.ClientConn) error

// Handlers lists the HTTP rules by area.
func Handlers() map[string][]Register {
	return map[string][]Register{
		"registry": {
			registrygw.RegisterRegistryFeedServiceHandler,
			registrygw.RegisterRegistryOperationsServiceHandler,
			registrygw.RegisterRegistryReadServiceHandler,
			registrygw.RegisterRegistryReferenceServiceHandler,
			registrygw.RegisterRegistryServiceHandler,
		},
		"reporting": {
			reportinggw.RegisterAssessmentServiceHandler,
			reportinggw.RegisterBulletinServiceHandler,
			reportinggw.RegisterDispatchServiceHandler,
			reportinggw.RegisterIncidentReadServiceHandler,
			reportinggw.RegisterIncidentServiceHandler,
			reportinggw.RegisterIntegrationServiceHandler,
			reportinggw.RegisterLeadServiceHandler,
			reportinggw.RegisterMatterServiceHandler,
			reportinggw.RegisterPoliceReportServiceHandler,
			reportinggw.RegisterReporterServiceHandler,
			reportinggw.RegisterResponseServiceHandler,
			reportinggw.RegisterResponseReadServiceHandler,
			reportinggw.RegisterFilingServiceHandler,
			reportinggw.RegisterFilingReadServiceHandler,
			reportinggw.RegisterSupervisionServiceHandler,
			reportinggw.RegisterSupervisionReadServiceHandler,
			reportinggw.RegisterReportingFeedServiceHandler,
			reportinggw.RegisterReportingOperationsServiceHandler,
			reportinggw.RegisterReportingReadServiceHandler,
			reportinggw.RegisterReportingServiceHandler,
		},
		"referral": {
			referralgw.RegisterReferralFeedServiceHandler,
			referralgw.RegisterReferralOperationsServiceHandler,
			referralgw.RegisterReferralReadServiceHandler,
			referralgw.RegisterReferralServiceHandler,
		},
		"relief": {
			reliefgw.RegisterReliefFeedServiceHandler,
			reliefgw.RegisterReliefOperationsServiceHandler,
			reliefgw.RegisterReliefReadServiceHandler,
			reliefgw.RegisterReliefServiceHandler,
		},
	}
}
