module github.com/lianhu/lianhu/tools/protozip

go 1.26.0
