//go:build unix

package proc

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test binary play a parent that is killed.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == GuardName {
		Guard(os.Stdin)
		os.Exit(0)
	}
	switch os.Getenv("PROC_TEST_PARENT") {
	case "":
	case "guarded":
		guardedParent()
	default:
		parent()
	}
	os.Exit(m.Run())
}

// parent starts a child that holds file 3 open, ends many threads, says
// whether the child still lives, and waits to be killed.
func parent() {
	runtime.LockOSThread() // the main thread never ends: keep it from doing the work
	var set Set
	cmd := exec.Command("sleep", "1000")
	cmd.ExtraFiles = []*os.File{os.NewFile(3, "held")}
	p, err := set.Start(cmd)
	if err != nil {
		panic(err)
	}
	syscall.CloseOnExec(3)
	os.NewFile(3, "held").Close()
	churn()
	select {
	case <-p.Done():
		os.Stdout.WriteString("the child is gone\n")
	default:
		os.Stdout.WriteString("the child lives\n")
	}
	select {}
}

// guardedParent has a group whose leader starts a child; both hold file 3 open. When
// told so on stdin it loses its guard, and starts another group.
func guardedParent() {
	var set Set
	if err := set.OwnTrees(); err != nil {
		panic(err)
	}
	group := func() {
		text := `sleep 1000 & echo; wait`
		if runtime.GOOS == "linux" { // another leaves the group
			text = `sleep 1000 & setsid sh -c 'echo; exec sleep 1000' & wait`
		}
		cmd := script(text, os.NewFile(3, "held"))
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		begun := make(chan struct{})
		cmd.Stdout = writer(func() { close(begun) })
		if _, err := set.Start(cmd); err != nil {
			panic(err)
		}
		<-begun
		os.Stdout.WriteString("begun\n")
	}
	group()
	_, _ = os.Stdin.Read(make([]byte, 1))
	_ = set.guard.cmd.Process.Kill()
	_, _ = set.guard.cmd.Process.Wait()
	group()
	select {}
}

// TestGuard: the children of leaders die, too, when this process is killed; also of
// groups that began before the guard was killed, and on Linux what has left its group.
func TestGuard(t *testing.T) {
	for name, loses := range map[string]bool{"one": false, "a second one": true} {
		t.Run(name, func(t *testing.T) {
			r, w := holder(t)
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), "PROC_TEST_PARENT=guarded")
			cmd.ExtraFiles = []*os.File{w}
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			w.Close()
			said := bufio.NewReader(out)
			if line, err := said.ReadString('\n'); line != "begun\n" {
				t.Errorf("the parent says %q, %v", line, err)
			}
			if loses {
				in.Close()
				if line, err := said.ReadString('\n'); line != "begun\n" {
					t.Errorf("the parent says %q, %v", line, err)
				}
			}
			_ = cmd.Process.Kill()
			_ = cmd.Wait() // it was killed
			awaitEnd(t, r)
		})
	}
}

// churn makes the runtime start threads and let them go.
func churn() {
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
			_, _ = os.Stat("/")
		})
	}
	wg.Wait()
}

// holder is a pipe whose write end goes to processes: reading it to the end
// proves that they are all gone.
func holder(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r, w
}

func awaitEnd(t *testing.T, r *os.File) {
	t.Helper()
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Fatalf("a process that should be gone still lives: %v", err)
	}
}

// TestDiesWithItsParent kills a parent with SIGKILL; its child must die too,
// and must not have died before, with one of the parent's threads.
func TestDiesWithItsParent(t *testing.T) {
	r, w := holder(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "PROC_TEST_PARENT=1")
	cmd.ExtraFiles = []*os.File{w}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	said, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || said != "the child lives\n" {
		t.Errorf("the parent says %q, %v", said, err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // it was killed
	if runtime.GOOS != "linux" {
		return // no PR_SET_PDEATHSIG: the child lives on, as documented
	}
	awaitEnd(t, r)
}

// script is a shell command whose whole group holds w.
func script(text string, w *os.File) *exec.Cmd {
	cmd := exec.Command("sh", "-c", text)
	cmd.ExtraFiles = []*os.File{w}
	return cmd
}

func TestRunEndsTheGroup(t *testing.T) {
	for name, text := range map[string]string{
		"obedient": `sleep 1000 & echo; wait`,
		"deaf":     `trap "" TERM; sleep 1000 & echo; while :; do wait; done`,
	} {
		t.Run(name, func(t *testing.T) {
			r, w := holder(t)
			ctx, cancel := context.WithCancelCause(t.Context())
			why := errors.New("no longer wanted")
			cmd := script(text, w)
			cmd.Stdout = writer(func() { cancel(why) }) // once its child runs
			var set Set
			if err := set.Run(ctx, cmd, 20*time.Millisecond, func() {}); !errors.Is(err, why) {
				t.Errorf("error %v, want %v", err, why)
			}
			w.Close()
			awaitEnd(t, r)
		})
	}
}

func TestRunSweepsWhatIsLeft(t *testing.T) {
	r, w := holder(t)
	var set Set
	var out strings.Builder
	cmd := script(`sleep 1000 & echo done`, w)
	cmd.Stdout = &out
	if err := set.Run(t.Context(), cmd, time.Second, func() {}); err != nil || out.String() != "done\n" {
		t.Errorf("got %q, %v", out.String(), err)
	}
	w.Close()
	awaitEnd(t, r)
}

func TestKillAll(t *testing.T) {
	r, w := holder(t)
	var set Set
	started := make(chan struct{})
	ended := make(chan error, 1)
	cmd := script(`sleep 1000 & echo; wait`, w)
	cmd.Stdout = writer(func() { close(started) })
	go func() { ended <- set.Run(context.Background(), cmd, time.Second, func() {}) }()
	<-started
	set.KillAll()
	w.Close()
	awaitEnd(t, r)
	if err := <-ended; !errors.Is(err, ErrOver) {
		t.Errorf("Run: %v, want ErrOver: that it was killed says nothing about it", err)
	}
	if _, err := set.Start(exec.Command("true")); !errors.Is(err, ErrOver) {
		t.Errorf("Start after KillAll: %v, want ErrOver", err)
	}
}

// A writer calls itself at each write.
type writer func()

func (w writer) Write(b []byte) (int, error) {
	w()
	return len(b), nil
}

func TestStopAndContinue(t *testing.T) {
	var set Set
	p, err := set.Start(exec.Command("sleep", "1000"))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		p.SignalLeader(syscall.SIGSTOP)
		if !p.AwaitStopped() {
			t.Fatal("it does not stop")
		}
		p.SignalLeader(syscall.SIGCONT)
	}
	p.SignalLeader(syscall.SIGSTOP)
	set.KillAll() // a stopped one too
}
