package libvirt

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

const (
	// boundEvery is how often the console logs are looked at. What a guest writes in between may go over the bound.
	boundEvery = 10 * time.Second
	// collapseUnit is a multiple of every file system's block size.
	collapseUnit = 64 << 10
)

// boundConsoleLogs keeps every guest's console log within console_log_kib: when one is longer, its older half goes.
// Where virtlogd writes the logs it rotates them itself, at 2 MiB by default, and nothing is left to do here.
func (h *host) boundConsoleLogs() {
	for h.sleep(boundEvery) {
		logs, err := filepath.Glob(filepath.Join(h.cfg.InstancesDir, "*", "console.log"))
		if err != nil {
			h.log.Error("console logs cannot be listed", "error", err)
			continue
		}
		for _, path := range logs {
			if err := boundLog(path, int64(h.cfg.ConsoleLogKiB)<<10); err != nil && !errors.Is(err, fs.ErrNotExist) {
				h.log.Warn("console log cannot be shortened", "path", path, "error", err)
			}
		}
	}
}

// boundLog cuts the beginning off a log that is longer than limit bytes, so that about half of limit is left. The writer
// has it open in append mode and need not know.
func boundLog(path string, limit int64) (err error) {
	info, err := os.Stat(path)
	if err != nil || info.Size() <= limit {
		return err
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	surplus := (info.Size() - limit/2) / collapseUnit * collapseUnit
	if surplus == 0 {
		return nil
	}
	if err := collapseHead(file, surplus); !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return rewriteTail(file, limit/2)
}

// rewriteTail is for file systems that cannot collapse a range, such as tmpfs. What the guest writes between the reading
// and the cut is lost: some lines of an overlong log.
func rewriteTail(file *os.File, keep int64) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	tail := make([]byte, min(keep, info.Size()))
	if _, err := file.ReadAt(tail, info.Size()-int64(len(tail))); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err = file.Write(tail)
	return err
}

// consoleTail returns the last lines of a console log, all that is kept when lines is 0 or less. What virtlogd has
// rotated away to console.log.0 comes before it. A log that does not exist yet is empty.
func consoleTail(path string, lines int) ([]byte, error) {
	var text []byte
	for _, part := range []string{path + ".0", path} {
		raw, err := os.ReadFile(part)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		text = append(text, raw...)
	}
	return lastLines(text, lines), nil
}

// lastLines returns the end of text that holds the given number of lines; an unfinished line counts as one.
func lastLines(text []byte, lines int) []byte {
	if lines <= 0 {
		return text
	}
	end := len(bytes.TrimSuffix(text, []byte("\n")))
	for range lines {
		end = bytes.LastIndexByte(text[:end], '\n')
		if end < 0 {
			return text
		}
	}
	return text[end+1:]
}
