package link

import "time"

// An Observed link can tell how it does. Safe for any goroutine, also after
// Close.
type Observed interface {
	Stats() Stats
	// Peers appends what is known of each connection whose handshake is done.
	Peers([]PeerStats) []PeerStats
}

// A Disconnector is a Router that can end one peer's connection, at once: what
// waits to be sent to it is lost. It reports whether there was one. The
// Disconnected that follows names the peer. Safe for any goroutine.
type Disconnector interface {
	Disconnect(peer []byte) bool
}

// Stats are a link's gauges and, from its opening on, its counters.
type Stats struct {
	Connections    int   // now, handshake done
	Handshakes     int   // under way now
	BytesToRead    int64 // received and waiting, or lent to the reader, with what they take beside
	BytesToSend    int64 // waiting for the peers to read, with what they take beside
	Unfinished     int64 // bytes of messages that are not whole yet
	AcceptingPause bool  // few descriptors are left

	Accepted         uint64 // connections, and those made by connecting
	BadHandshakes    uint64 // no ZeroMQ, the wrong kind of socket, a routing id that cannot be used
	LateHandshakes   uint64 // ended because they took too long
	ManyHandshakes   uint64 // ended by HandshakesMax
	Malformed        uint64 // connections ended by what is no ZMTP
	LargeFrames      uint64 // connections ended by FrameBytesMax
	LongMessages     uint64 // connections ended by FramesMax, or by the bytes of one message
	UnfinishedCut    uint64 // connections ended by LinkBytesMax, for a message that was not whole
	SlowCut          uint64 // connections ended by LinkBytesMax, for what they did not read
	TakenIDs         uint64 // connections ended because their routing id was another's, which lives
	SilentCut        uint64 // connections ended because they were silent, and another came with their routing id
	ReadPauses       uint64 // times that reading from a connection has paused, because as much waits as may
	Full             uint64 // messages refused because their peer's queue was full
	AcceptingPauses  uint64 // times that accepting has paused
	DialsFailed      uint64 // attempts to connect that failed
	LastTrouble      string // why a connection or an attempt ended last; empty: none did
	LastTroubleSince time.Time
}

// PeerStats are what is known of one connection.
type PeerStats struct {
	Peer        []byte // routing id; nil on a Dealer or Req
	Address     string // the other side's; empty for ipc
	SocketType  string
	Revision    string // of ZMTP
	Mechanism   string
	Since       time.Time
	MessagesIn  uint64
	MessagesOut uint64
	BytesIn     uint64 // on the wire
	BytesOut    uint64
	ToRead      int64 // bytes that wait, or are lent
	ToSend      int64
}
