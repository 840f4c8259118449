package link

import (
	"errors"
	"syscall"
)

// FilesAdvice is what to do about EMFILE and ENFILE.
const FilesAdvice = "raise the limit of open files (ulimit -n, LimitNOFILE), or open fewer links"

// NoFiles reports whether err is that no more files may be open. No peer has part in that.
func NoFiles(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}
