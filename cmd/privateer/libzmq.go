//go:build cgo && !nolibzmq

package main

import _ "github.com/privateer-mq/privateer/transport/libzmq" // --transport libzmq
