//go:build unix

package proc

import (
	"bufio"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// tellTimeout bounds what a guard that stands still can hold up.
const tellTimeout = time.Second

// GuardName is what a guard is called with, as its first argument.
const GuardName = "guard-of-process-groups"

// treeVariable is in the environment of all that a set starts, where it has a guard:
// so the guard finds on Linux what it was not told of, in time or ever.
const treeVariable = "PRIVATEER_TREE"

// A guard is a small process beside this one. It is told of each group that begins
// or ends, and kills those that are left when this process is gone, however that
// came about: the kernel tells a leader of its parent's death, but not the leader's
// children.
type guard struct {
	cmd  *exec.Cmd
	pipe *os.File // what it is told; its end tells of ours
}

// startGuard starts one: this program, which must call Guard when its first argument
// is GuardName.
func startGuard(tree string) (*guard, error) {
	self := "/proc/self/exe" // also when the file has been replaced
	if _, err := os.Stat(self); err != nil {
		if self, err = os.Executable(); err != nil {
			return nil, err
		}
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	cmd := exec.Command(self, GuardName)
	cmd.Args[0] = os.Args[0]
	cmd.Stdin = r
	cmd.Env = []string{"GOMAXPROCS=1"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // what is sent to this process's group is not for it
	if err := cmd.Start(); err != nil {
		w.Close()
		return nil, err
	}
	g := &guard{cmd, w}
	if err := g.write("=" + tree); err != nil {
		g.end()
		return nil, err
	}
	return g, nil
}

// tell says that a group has begun or is over. A guard that is gone, or stands still,
// is an error.
func (g *guard) tell(begun bool, group int) error {
	sign := "-"
	if begun {
		sign = "+"
	}
	return g.write(sign + strconv.Itoa(group))
}

func (g *guard) write(line string) error {
	if err := g.pipe.SetWriteDeadline(time.Now().Add(tellTimeout)); err != nil {
		return err
	}
	_, err := g.pipe.WriteString(line + "\n")
	return err
}

// end ends the guard, which kills nothing.
func (g *guard) end() {
	_ = g.cmd.Process.Kill() // it may be gone
	g.pipe.Close()
	_ = g.cmd.Wait() // how it ended is of no use to anybody
}

// Guard is the guard's own program: it reads what groups there are until that ends,
// and kills those that are left. Its parent's end is the only thing that ends it.
func Guard(from io.Reader) {
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE)
	groups, tree := map[int]struct{}{}, ""
	for lines := bufio.NewReader(from); ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			break
		}
		if line[0] == '=' {
			tree = strings.TrimSpace(line[1:])
			continue
		}
		group, err := strconv.Atoi(strings.TrimSpace(line[1:]))
		switch {
		case err != nil || group <= 1: // nobody writes that
		case line[0] == '+':
			groups[group] = struct{}{}
		case line[0] == '-':
			delete(groups, group)
		}
	}
	for group := range groups {
		_ = syscall.Kill(-group, syscall.SIGKILL) // it may be gone
	}
	killTree(tree)
}

// OwnTrees has the set answer for whole trees of processes, from now on: a guard
// kills the groups that are left when this process is gone, and on Linux orphans
// come to this process, which reaps them. This process must have no other children
// than the set's. An error says that there is no guard; the set does without.
func (s *Set) OwnTrees() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tree = rand.Text()
	g, err := startGuard(s.tree)
	if err != nil {
		err = fmt.Errorf("no process beside this one could be started, to end what is left when this one is killed: %w", err)
	}
	s.guard = g
	s.adopt()
	return err
}

// tell tells the guard, and makes a new one where there is none any more. s.mu is held.
func (s *Set) tell(begun bool, group int) {
	if s.tree == "" || s.guard != nil && s.guard.tell(begun, group) == nil {
		return
	}
	if s.guard != nil {
		s.guard.end()
	}
	if s.guard, _ = startGuard(s.tree); s.guard == nil { // at the next one, perhaps
		return
	}
	for p := range s.live {
		if p.Pid() != group || begun {
			_ = s.guard.tell(true, p.Pid()) // if it is gone already, the next call sees to it
		}
	}
}
