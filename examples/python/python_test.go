// Package python_test runs the tests of the Python files beside it. (That they
// pass for peers of a real broker is shown in integration_test.)
package python_test

import (
	"os/exec"
	"testing"
)

const python = "/usr/bin/python3"

func TestVectors(t *testing.T) {
	if out, err := exec.Command(python, "-c", "import zmq").CombinedOutput(); err != nil {
		t.Fatalf("%s cannot import zmq: install python3-zmq (apt-get install python3-zmq): %v\n%s", python, err, out)
	}
	out, err := exec.Command(python, "test_prv1.py").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}
