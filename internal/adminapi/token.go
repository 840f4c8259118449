package adminapi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

// tokenFileMax bounds a token file.
const tokenFileMax = 4 << 10

// ReadToken reads a token file, for the broker and for those that ask it: one word,
// with space around it, and a byte order mark before it, left out.
func ReadToken(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, tokenFileMax+1))
	switch {
	case err != nil:
		return "", err
	case len(text) > tokenFileMax:
		return "", fmt.Errorf("%s is larger than 4 KiB: it must hold the token and nothing else", path)
	}
	token := bytes.TrimSpace(bytes.TrimPrefix(text, []byte("\ufeff")))
	if len(token) == 0 {
		return "", fmt.Errorf("%s is empty: it must hold the token", path)
	}
	if lines := bytes.Count(token, []byte("\n")) + 1; lines > 1 {
		return "", fmt.Errorf("%s has %d lines: it must hold one token and nothing else", path, lines)
	}
	if err := checkToken(string(token)); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return string(token), nil
}

// checkToken refuses what no header of HTTP can carry.
func checkToken(token string) error {
	for i := range len(token) {
		if token[i] <= ' ' || token[i] > '~' {
			return fmt.Errorf("the token has a space or a character that is not ASCII at %d: %w", i+1, errOneWord)
		}
	}
	return nil
}

var errOneWord = errors.New("it must be one word")
