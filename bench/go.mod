module github.com/privateer-mq/privateer/bench

go 1.26

require github.com/pebbe/zmq4 v1.4.0

replace github.com/privateer-mq/privateer => ../
