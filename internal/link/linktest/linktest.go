// Package linktest is the contract of links as tests, which every implementation
// passes, and every pair of them that can talk.
package linktest

import (
	"testing"

	"github.com/privateer-mq/privateer/internal/link"
)

// A Kind is one implementation, or one scheme of it, or two of them that talk.
type Kind struct {
	Name    string
	Memory  bool                      // of package link: exact in what it counts
	Free    func(t *testing.T) string // an endpoint that can be bound
	Bind    func() (link.Host, error) // for Routers
	Connect func() (link.Host, error) // for the others
}

// Run runs every case over every kind.
func Run(t *testing.T, kinds []Kind) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for _, k := range kinds {
				t.Run(k.Name, func(t *testing.T) { c.run(t, k) })
			}
		})
	}
}

var cases = []struct {
	name string
	run  func(t *testing.T, k Kind)
}{
	{"RequestReply", TestRequestReply},
	{"OrderIsKept", TestOrderIsKept},
	{"GeneratedIdentity", TestGeneratedIdentity},
	{"ReqIsStrict", TestReqIsStrict},
	{"Unreachable", TestUnreachable},
	{"NotConnected", TestNotConnected},
	{"Full", TestFull},
	{"Reconnect", TestReconnect},
	{"ConnectBeforeBind", TestConnectBeforeBind},
	{"MonitorIsOptional", TestMonitorIsOptional},
	{"WakeEndsWait", TestWakeEndsWait},
	{"WakeIsSafeAtAnyTime", TestWakeIsSafeAtAnyTime},
	{"WaitDoesNotBlockForNothing", TestWaitDoesNotBlockForNothing},
	{"RecvLimit", TestRecvLimit},
	{"RecvLimitHoldsForEvents", TestRecvLimitHoldsForEvents},
	{"EventFoundBySendIsNotLost", TestEventFoundBySendIsNotLost},
	{"TwoLinksOfOneHost", TestTwoLinksOfOneHost},
	{"SeveralEndpoints", TestSeveralEndpoints},
	{"Addr", TestAddr},
	{"EndpointInUse", TestEndpointInUse},
	{"Handover", TestHandover},
	{"NoHandover", TestNoHandover},
	{"LargeFrameCutsTheSender", TestLargeFrameCutsTheSender},
	{"LargeFrameToADealerEndsIt", TestLargeFrameToADealerEndsIt},
	{"Linger", TestLinger},
	{"Closed", TestClosed},
	{"NoFrames", TestNoFrames},
	{"BadOptions", TestBadOptions},
	{"Put", TestPut},
	{"FlushNamesFailures", TestFlushNamesFailures},
	{"NothingOvertakesAFailure", TestNothingOvertakesAFailure},
	{"NothingOvertakesALostConnection", TestNothingOvertakesALostConnection},
	{"PutWithoutConnection", TestPutWithoutConnection},
	{"RecvOfManySizes", TestRecvOfManySizes},
	{"WhatIsNotLentIsKept", TestWhatIsNotLentIsKept},
	{"SendThatIsFull", TestSendThatIsFull},
	{"SendOverALostConnection", TestSendOverALostConnection},
}
