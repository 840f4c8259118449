module github.com/privateer-mq/privateer/bench

go 1.26.0

require (
	github.com/pebbe/zmq4 v1.4.0
	github.com/privateer-mq/privateer v0.0.0
)

require (
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/mattn/go-colorable v0.1.14 // indirect
	github.com/mattn/go-isatty v0.0.24 // indirect
	github.com/rs/zerolog v1.35.1 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

replace github.com/privateer-mq/privateer => ../
