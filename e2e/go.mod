module github.com/lianhu/lianhu/e2e

go 1.26.0

require (
	github.com/lianhu/lianhu/pkg v0.0.0
	github.com/lianhu/lianhu/proto v0.0.0
	github.com/lianhu/lianhu/services v0.0.0
)

require (
	github.com/google/go-cmp v0.7.0 // indirect
	github.com/jackc/pgpassfile v1.0.0 // indirect
	github.com/jackc/pgservicefile v0.0.0-20240606120523-5a60cdf6a761 // indirect
	github.com/jackc/pgx/v5 v5.12.0 // indirect
	go.opentelemetry.io/otel/sdk v1.47.0 // indirect
	golang.org/x/net v0.61.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.43.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20261019180522-ce908d29299b // indirect
	google.golang.org/grpc v1.85.0 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)

replace (
	github.com/lianhu/lianhu/pkg => ../pkg
	github.com/lianhu/lianhu/proto => ../proto
	github.com/lianhu/lianhu/services => ../services
)
