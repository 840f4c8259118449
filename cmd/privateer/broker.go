package main

import (
	"os"
	"time"

	"github.com/privateer-mq/privateer/broker"
)

type brokerCommand struct {
	daemonFlags
	connects

	Frontend []string `sep:"none" default:"tcp://127.0.0.1:5555" help:"Endpoint for clients. May be given more than once. Port 0 takes a free one; the log says which."`
	Backend  []string `sep:"none" default:"tcp://127.0.0.1:5556" help:"Endpoint for workers. May be given more than once."`
	IPCMode  fileMode `name:"ipc-mode" placeholder:"MODE" help:"Permissions of the files of ipc:// endpoints, as 0660: who may write may connect. Default: what the umask leaves."`

	Heartbeat   duration       `default:"1s" help:"Time between heartbeats, both ways. Workers adopt it."`
	Liveness    count          `default:"3" help:"Heartbeats of silence after which a peer is lost."`
	MaxAttempts count          `default:"3" help:"Workers that a request may lose before it is put aside as a dead letter."`
	Lease       durationOrZero `default:"0" help:"How long an attempt may run without progress. 0: until the deadline."`

	MaxQueue      count `default:"100000" help:"Most requests not yet done, all services together."`
	MaxQueueBytes size  `default:"1GiB" help:"Most bytes that they take: 300 each, bodies, fields and frames."`
	MaxMessage    size  `default:"1MiB" help:"Largest body of one message."`
	MaxPeerBytes  size  `default:"16MiB" help:"Most bytes that wait on one connection, one way; one message more may, and two in any case. Not of transport libzmq."`
	MaxLinkBytes  size  `default:"128MiB" help:"Most bytes that wait on all connections together. Not of transport libzmq."`
	MaxPeers      count `default:"20000" help:"Most workers at a time."`
	MaxServices   count `default:"1000" help:"Most service names that workers serve, and as many that only requests have."`
	MaxIDs        count `name:"max-ids" default:"4000000" help:"Most ids of finished requests that are remembered, about 175 bytes each; each until its deadline."`
	MaxDead       count `default:"1000" help:"Most dead letters that are kept; the oldest make room."`
	MaxDeadBytes  size  `default:"64MiB" help:"Most bytes that they take, bodies, fields and 300 each; the oldest make room, and one that takes more is not kept."`

	DefaultDeadline duration `default:"30s" help:"Deadline of plain ZeroMQ clients, which name none."`
	MaxDeadline     duration `default:"24h" help:"Longest deadline that a request may name: a later one is INVALID. Ids are remembered that long."`
	DefaultService  string   `default:"default" help:"Service of plain ZeroMQ clients and workers, which name none."`

	Dialects     []string `default:"prv1,plain,ppp,mdp01,mdp02" placeholder:"NAME,…" help:"What is spoken, of prv1, plain (clients without a header), ppp (Paranoid Pirate workers), mdp01 and mdp02 (Majordomo, both roles). Default: all. A body that looks like the header of what is not spoken is a body."`
	LegacyErrors string   `default:"silent" enum:"silent,text" placeholder:"silent" help:"What a client gets whose dialect has no errors: silent, so that it times out and asks again; text, a reply that begins with PRIVATEER-ERROR."`
	PPPFrames    string   `name:"ppp-frames" default:"join" enum:"join,refuse,keep" placeholder:"join" help:"What becomes of a request whose body is not one frame, where a Paranoid Pirate worker is to have it: join, its frames are put together; refuse, it ends as INVALID; keep, it goes out as it is, for workers that know frames."`

	ReplayWindow   duration       `default:"2m" help:"How long a finished reply is kept for a client that asks again."`
	ReplayBytes    size           `default:"256MiB" help:"Most bytes kept for that."`
	RecoveryWindow durationOrZero `default:"0" help:"How long after its start the broker waits for workers to say what they hold. 0: liveness × heartbeat + 5s."`
	DrainTimeout   duration       `default:"10s" help:"How long it finishes what it holds once it is told to stop."`

	Admin          string `placeholder:"HOST:PORT" help:"Where to show metrics, the admin API and a web page, over HTTP. Beyond loopback it needs --admin-token-file. Default: nowhere."`
	AdminTokenFile string `placeholder:"FILE" help:"A file with the token, of 16 characters or more, that the admin listener asks for."`
	AdminPprof     bool   `help:"Show Go's profiles at /debug/pprof/ of the admin listener, too."`
	RecorderSteps  count  `default:"50000" help:"Steps in the lives of requests that the admin listener remembers, about 130 bytes each."`

	Insecure bool `help:"Listening beyond this machine without keys is meant: do not warn."`
}

// Run runs the broker until a signal.
func (c *brokerCommand) Run() error {
	log, err := c.open()
	if err != nil {
		return err
	}
	defer log.end()
	b, err := broker.New(broker.Config{
		Frontends:       c.Frontend,
		Backends:        c.Backend,
		Transport:       c.Transport,
		IPCMode:         os.FileMode(c.IPCMode),
		Heartbeat:       time.Duration(c.Heartbeat),
		Liveness:        int(c.Liveness),
		MaxAttempts:     int(c.MaxAttempts),
		Lease:           time.Duration(c.Lease),
		MaxQueue:        int(c.MaxQueue),
		MaxQueueBytes:   int64(c.MaxQueueBytes),
		MaxMessage:      int64(c.MaxMessage),
		MaxPeerBytes:    int64(c.MaxPeerBytes),
		MaxLinkBytes:    int64(c.MaxLinkBytes),
		MaxPeers:        int(c.MaxPeers),
		MaxServices:     int(c.MaxServices),
		MaxIDs:          int(c.MaxIDs),
		MaxDead:         int(c.MaxDead),
		MaxDeadBytes:    int64(c.MaxDeadBytes),
		DefaultDeadline: time.Duration(c.DefaultDeadline),
		MaxDeadline:     time.Duration(c.MaxDeadline),
		DefaultService:  c.DefaultService,
		Dialects:        c.Dialects,
		LegacyErrors:    broker.LegacyErrors(c.LegacyErrors),
		PPPFrames:       broker.PPPFrames(c.PPPFrames),
		ReplayWindow:    time.Duration(c.ReplayWindow),
		ReplayBytes:     int64(c.ReplayBytes),
		RecoveryWindow:  time.Duration(c.RecoveryWindow),
		DrainTimeout:    time.Duration(c.DrainTimeout),
		Admin:           c.Admin,
		AdminTokenFile:  c.AdminTokenFile,
		AdminPprof:      c.AdminPprof,
		RecorderSteps:   int(c.RecorderSteps),
		Version:         version,
		Commit:          commit,
		Insecure:        c.Insecure,
		Logger:          log.Logger,
		LogLost:         log.lines.Lost,
	})
	if err != nil {
		return usage(asFlag(c, err))
	}
	ctx, stop := log.untilSignal(func() {})
	defer stop()
	end := tellSystemd(b, log.Logger)
	err = b.Run(ctx)
	end()
	if err != nil && ctx.Err() == nil {
		return usage(asFlag(c, err)) // it could not bind, or lost what it was bound to
	}
	return err
}
