module github.com/lianhu/lianhu/tools/errordoc

go 1.26.0

replace github.com/lianhu/lianhu/proto => ../../proto

require (
	github.com/lianhu/lianhu/proto v0.0.0-00010101000000-000000000000
	google.golang.org/protobuf v1.36.12
)
