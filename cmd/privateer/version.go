package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/privateer-mq/privateer/internal/link/transport"
	"github.com/privateer-mq/privateer/protocol"
)

// Set by the linker: -X main.version=… -X main.commit=…
var version, commit string

type versionCommand struct {
	common

	JSON bool `help:"Print it as JSON."`
}

// about is what there is to know about this binary.
type about struct {
	Version  string `json:"version"`
	Commit   string `json:"commit"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	Libzmq   string `json:"libzmq"`
	Protocol int    `json:"protocol"`
}

// Run prints the version.
func (c *versionCommand) Run() error {
	a := thisBinary()
	if c.JSON {
		text, err := json.Marshal(a)
		if err != nil {
			return err
		}
		return toStdout(string(text) + "\n")
	}
	return toStdout(fmt.Sprintf("privateer %s (commit %s)\n%s %s, libzmq %s, protocol PRV%d\n",
		a.Version, a.Commit, a.Go, a.Platform, cmp.Or(a.Libzmq, "not built in"), a.Protocol))
}

// thisBinary takes what the linker was told, else what Go recorded.
func thisBinary() about {
	a := about{
		Version: version, Commit: commit, Go: runtime.Version(),
		Platform: runtime.GOOS + "/" + runtime.GOARCH, Libzmq: transport.Version(transport.LibZMQ), Protocol: protocol.Version,
	}
	info, ok := debug.ReadBuildInfo()
	if ok && a.Version == "" {
		a.Version = info.Main.Version
	}
	if ok && a.Commit == "" {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				a.Commit = s.Value
			}
		}
	}
	if a.Version == "" {
		a.Version = "(devel)"
	}
	if a.Commit == "" {
		a.Commit = "unknown"
	}
	return a
}
