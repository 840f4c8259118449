//go:build unix

package demo

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

// files are the inputs, in the order of the walk.
type files struct {
	paths []string
	large int // skipped: over the largest message
	other int // skipped: could not be read
}

// collect lists regular files under dir, at most limit of them. It enters no
// .git and follows no symlinks.
func collect(dir string, sizeMax int64, limit int) (*files, error) {
	f := &files{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil && path == dir:
			return err
		case err != nil:
			f.other++
			return nil
		case d.IsDir() && d.Name() == ".git" && path != dir:
			return fs.SkipDir
		case !d.Type().IsRegular():
			return nil
		case len(f.paths) == limit:
			return fs.SkipAll
		}
		if info, err := d.Info(); err != nil {
			f.other++
		} else if info.Size() > sizeMax {
			f.large++
		} else {
			f.paths = append(f.paths, path)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInput, err)
	}
	if len(f.paths) == 0 {
		return nil, fmt.Errorf("%w: no files to send under %s%s; name another directory with --dir",
			ErrInput, dir, f.skippedClause())
	}
	return f, nil
}

// skippedClause says what was left out, "" if nothing was.
func (f *files) skippedClause() string {
	s := ""
	if f.large > 0 {
		s += fmt.Sprintf(", %d over 1 MiB skipped", f.large)
	}
	if f.other > 0 {
		s += fmt.Sprintf(", %d unreadable skipped", f.other)
	}
	return s
}

// read returns the content of the n-th file, over and over. A file that cannot
// be read any more is left out from then on.
func (f *files) read(n int) ([]byte, error) {
	for len(f.paths) > 0 {
		i := n % len(f.paths)
		b, err := readFile(f.paths[i])
		if err == nil {
			return b, nil
		}
		f.other++
		f.paths = append(f.paths[:i], f.paths[i+1:]...)
	}
	return nil, fmt.Errorf("%w: no file can be read", ErrInput)
}

func readFile(path string) ([]byte, error) {
	r, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, fileMax+1))
	if err == nil && len(b) > fileMax {
		err = fmt.Errorf("%s has grown", path)
	}
	return b, err
}

// A script is what each worker runs for a request.
type script struct {
	name    string // of the program in it
	command []string
}

// hashScript is sh around the machine's SHA-256 program: it notes each start
// and end in the run log, so that runs are counted and not assumed.
func hashScript() (script, error) {
	if _, err := exec.LookPath("sh"); err != nil {
		return script{}, fmt.Errorf("%w: it needs a shell, sh", ErrInput)
	}
	name := "sha256sum"
	if _, err := exec.LookPath(name); err != nil {
		if _, err := exec.LookPath("shasum"); err != nil {
			return script{}, fmt.Errorf("%w: it needs sha256sum (coreutils) or shasum in the PATH", ErrInput)
		}
		name = "shasum -a 256"
	}
	text := `echo "start $PRIVATEER_REQUEST_ID $PPID" >>"$RUN_LOG"; ` + name +
		`; s=$?; echo "end $PRIVATEER_REQUEST_ID $PPID" >>"$RUN_LOG"; exit $s`
	return script{name: name, command: []string{"sh", "-c", text}}, nil
}
