package workercore

import (
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// A phase is how far the relation with the broker has come.
type phase uint8

const (
	closed  phase = iota // no socket; one is opened at openAt
	opening              // Open was asked for
	joining              // a socket, READY sent or wanted, no WELCOME yet
	joined               // WELCOME came: the link stands
	leaving              // DISCONNECT sent, the broker's awaited
	ended                // Done was put out
)

func (p phase) String() string {
	return [...]string{"closed", "opening", "joining", "joined", "leaving", "ended"}[p]
}

// A Session is one worker's relation with one broker endpoint; Turns calls it. It is
// a plain value: in each turn Turn first, then what was read (Receive), what
// handlers say (Finished, Progress), Tick, and, once all that is done, StartNext
// while a handler is free. Each appends to out what is to be done, in order. A
// message or Run in it is the Session's again with the next Turn.
//
// now is the time since some fixed moment in this process, never going back.
type Session struct {
	table
	cfg      Config
	services map[string]string // by themselves

	phase    phase
	random   uint64        // this turn's
	lastTurn time.Duration // when the last turn began
	openAt   time.Duration // closed: when to open a socket
	failures int           // sockets given up since the last WELCOME
	connects int           // connections seen on this socket

	counters  link
	readyLeft bool          // joining: READY is still to be said
	readyAt   time.Duration // ... again at this time at the latest
	burst     int           // READYs said since burstAt
	burstAt   time.Duration
	heardAt   time.Duration // last message of this link, or its start
	emptyAt   time.Duration // when the socket was found empty last: a silence lasts until then
	judgeAt   time.Duration // nobody is judged before this time
	beatAt    time.Duration // next heartbeat
	delay     delay
	tellAt    time.Duration // when tellStarted has something to do, at the earliest

	paused   bool // this turn follows a pause
	gateWant bool // gated entries wait for a heartbeat to be sent
	gateSeq  uint32

	epoch        uint64 // of the last WELCOME, 0 before
	heartbeat    time.Duration
	liveness     int
	reconnectMax time.Duration
	retention    time.Duration
	idsMax       int // held and remembered ids: this worker's bound, or the broker's
	limits       protocol.Limits

	messages []*protocol.Message // put out, to be used again
	messaged int                 // ... in this turn
	starts   []*Run
	started  int

	elsewhere int // slots that other sessions' stuck handlers take
	full      bool
	heldUntil time.Duration // a hold lasts until then; 0: there is none
	halfOpen  int           // after one: the slots that may be taken until it has shown that it works; 0: all
	draining  bool
	drainEnds time.Duration
	leaveBy   time.Duration // when leaving is given up; 0: not leaving yet
}

// New makes a Session that asks for its first socket at the first Tick.
func New(cfg Config, now time.Duration) *Session {
	if cfg.IDsMax == 0 {
		cfg.IDsMax = IDsMaxDefault
	}
	if cfg.ReconnectMax == 0 {
		cfg.ReconnectMax = reconnectMaxDefault
	}
	s := &Session{
		table:        newTable(),
		cfg:          cfg,
		services:     make(map[string]string, len(cfg.Services)),
		heartbeat:    heartbeatDefault,
		liveness:     livenessDefault,
		reconnectMax: cfg.ReconnectMax,
		retention:    retentionDefault,
		idsMax:       cfg.IDsMax,
		lastTurn:     now,
		tellAt:       never,
		openAt:       now,
		burstAt:      now,
	}
	for _, name := range cfg.Services {
		s.services[name] = name
	}
	return s
}

// Turn begins a turn of the loop: before anything is read. random is fresh for
// each turn. It notes whether this process stood still: a turn more than one
// heartbeat late moves every timer that judges the broker or a handler by the
// gap, judges nobody for one heartbeat more, and lets nothing that is read in
// it start before a round trip with the broker.
func (s *Session) Turn(now time.Duration, random uint64, out []Output) []Output {
	s.reuse()
	s.random = random
	s.paused = false
	due, ok := s.Deadline()
	due = max(due, s.lastTurn)
	s.lastTurn = now
	if gap := now - due; ok && gap > s.heartbeat {
		s.pausedFor(now, gap)
		return append(out, Output{Kind: Report, Event: Paused, For: gap})
	}
	return out
}

func (s *Session) pausedFor(now, gap time.Duration) {
	s.paused = true
	s.heardAt += gap
	s.counters.waitingSince += gap
	s.judgeAt = now + s.heartbeat
	// What is held, and what was on its way when the process stood still, may
	// be another worker's by now.
	s.gateAll()
	s.gateWant = true
	if s.leaveBy > 0 {
		s.leaveBy += gap
	}
	for e := s.running.first; e != nil; e = e.next {
		if e.stream != nil {
			e.stream.heardAt += gap
		}
	}
	if s.cfg.TaskTimeout == 0 {
		return
	}
	for e := s.running.first; e != nil; e = e.next {
		if e.due != never {
			s.schedule(e, e.due+gap)
		}
	}
}

// silence is how long a peer may say nothing before it counts as lost.
func (s *Session) silence() time.Duration { return time.Duration(s.liveness) * s.heartbeat }

// Deadline returns when Tick is next needed; ok is false when no time will
// make a difference.
func (s *Session) Deadline() (at time.Duration, ok bool) {
	at = never
	switch s.phase {
	case closed:
		at = s.openAt
	case joining:
		at = max(s.heardAt+s.silence(), s.judgeAt)
		if s.readyLeft {
			at = min(at, s.readyAt)
		}
	case joined:
		at = min(s.beatAt, s.tellAt, max(s.judgedBy(), s.judgeAt))
	case leaving:
		at = s.beatAt
	case ended:
		return 0, false
	}
	if len(s.times) > 0 {
		at = min(at, s.times[0].due)
	}
	switch { // what it has to forget can wait for a turn that comes anyway, but for
	case s.memory.behind:
		at = min(at, s.lastTurn)
	case s.full: // room for more
		at = min(at, s.memory.next())
	}
	if s.heldUntil > 0 {
		at = min(at, s.heldUntil)
	}
	if s.draining && s.leaveBy > 0 {
		at = min(at, s.leaveBy)
	} else if s.draining {
		at = min(at, s.drainEnds)
	}
	return at, at != never
}

// judgedBy is when a broker that stays as it is now counts as lost: it says
// nothing, or takes nothing.
func (s *Session) judgedBy() time.Duration {
	by := s.heardAt
	if s.counters.acked < s.counters.sent {
		by = min(by, s.counters.waitingSince)
	}
	return by + s.silence()
}

// Emptied says that the socket was found empty in this turn: the broker has said
// nothing but what has been received.
func (s *Session) Emptied(now time.Duration) { s.emptyAt = now }

// Tick does what is due by time.
func (s *Session) Tick(now time.Duration, out []Output) []Output {
	if s.phase == ended {
		return out
	}
	out = s.tickHold(now, s.fire(now, out))
	switch s.phase {
	case closed:
		if now >= s.openAt {
			s.phase = opening
			out = append(out, Output{Kind: Open})
		}
	case joining:
		out = s.tickJoining(now, out)
	case joined:
		out = s.tickJoined(now, out)
	}
	if s.draining {
		out = s.tickDrain(now, out)
	}
	return s.reportFull(out)
}

func (s *Session) tickJoining(now time.Duration, out []Output) []Output {
	switch {
	case now >= s.judgeAt && s.emptyAt-s.heardAt >= s.silence():
		return s.reconnect(now, "no WELCOME", out)
	case s.readyLeft && now >= s.readyAt:
		return s.ready(now, out)
	}
	return out
}

func (s *Session) tickJoined(now time.Duration, out []Output) []Output {
	if now >= s.judgeAt && s.emptyAt >= s.judgedBy() {
		why := "nothing heard"
		if now-s.heardAt < s.silence() {
			why = "messages not acknowledged"
		}
		return s.reconnect(now, why, out)
	}
	if now >= s.tellAt {
		out = s.tellStarted(now, out)
	}
	if now >= s.beatAt || s.paused {
		s.paused = false
		return s.beat(now, out)
	}
	return out
}

// Credit is how many requests this worker is ready to hold for the broker,
// those that its heartbeat lists included. A slot taken by a handler that was
// answered for and has not returned lowers it, unless its request is still on
// the list; and so does what is finished and not acknowledged where there would be
// more on the list than it holds.
func (s *Session) Credit() int {
	slots := s.cfg.Concurrency
	switch {
	case s.draining || s.heldUntil > 0:
		return 0
	case s.halfOpen > 0:
		slots = s.halfOpen
	}
	return max(0, min(slots-s.unlisted-s.elsewhere, s.idsMax-s.remembered(), protocol.EntriesMax-s.unlisted-s.finished.n))
}

// Stuck is how many slots are taken by handlers that were answered already
// and have not returned.
func (s *Session) Stuck() int { return s.stuck }

// SetElsewhere says how many slots such handlers of other sessions take.
func (s *Session) SetElsewhere(now time.Duration, n int, out []Output) []Output {
	before := s.Credit()
	s.elsewhere = n
	return s.credited(now, before, out)
}

// credited tells the broker at once that there is credit again. Less of it is
// told by the next heartbeat.
func (s *Session) credited(now time.Duration, before int, out []Output) []Output {
	if s.phase == joined && before == 0 && s.Credit() > 0 {
		return s.beat(now, out)
	}
	return out
}

func (s *Session) reportFull(out []Output) []Output {
	full := s.remembered() >= s.idsMax
	if full && !s.full {
		out = append(out, report(TableFull, ""))
	}
	s.full = full
	return out
}
