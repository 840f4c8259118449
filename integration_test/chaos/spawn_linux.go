package main

import (
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// A spawning is a process to start, and where to say how that went.
type spawning struct {
	cmd *exec.Cmd
	err chan<- error
}

// spawner is the goroutine that starts all processes. The kernel kills a child
// with Pdeathsig when the thread that started it ends: this one keeps its
// thread until the runner ends, in whatever way.
var spawner = sync.OnceValue(func() chan<- spawning {
	c := make(chan spawning)
	go func() {
		runtime.LockOSThread()
		for s := range c {
			s.err <- s.cmd.Start()
		}
	}()
	return c
})

func spawn(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	err := make(chan error, 1)
	spawner() <- spawning{cmd, err}
	return <-err
}
