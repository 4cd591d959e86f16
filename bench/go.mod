module tarragon.dev/tarragon/bench

go 1.26.0

replace tarragon.dev/tarragon => ../

require (
	github.com/HdrHistogram/hdrhistogram-go v1.4.0
	github.com/tarantool/go-iproto v1.1.0
	github.com/tarantool/go-tarantool/v2 v2.4.2
	github.com/tinylib/msgp v1.6.5
	github.com/vmihailenco/msgpack/v5 v5.4.1
	tarragon.dev/tarragon v0.0.0
)

require (
	github.com/philhofer/fwd v1.2.0 // indirect
	github.com/stretchr/testify v1.12.1 // indirect
	github.com/valyala/bytebufferpool v1.0.0 // indirect
	github.com/vmihailenco/tagparser/v2 v2.0.0 // indirect
)
