package web

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"time"

	"github.com/gofiber/fiber/v2"
)

const (
	streamLimit = time.Hour        // a whole answer
	readerLimit = 30 * time.Second // to take what it was sent
	streamChunk = 32 << 10         // bytes
)

// File is one to be downloaded. Its name tells of nobody.
type File struct{ Name, Type string }

// Stream answers with the file that write writes, while it writes it, and then
// closes the connection. Its context outlives the request's deadline, and ends when
// the client goes away. When write fails, the answer breaks off without its end, so
// that no client takes it for whole.
func Stream(c *fiber.Ctx, log *slog.Logger, file File, write func(context.Context, *bufio.Writer) error) {
	c.Set(fiber.HeaderContentType, file.Type)
	c.Set(fiber.HeaderContentDisposition, `attachment; filename="`+file.Name+`"`)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.UserContext()), streamLimit)
	id := RequestID(c) // c is another request's by then
	from, to := io.Pipe()
	c.Context().SetConnectionClose() // it keeps a deadline of ours
	c.Context().SetBodyStream(&stream{PipeReader: from, conn: c.Context().Conn(), cancel: cancel}, -1)
	go func() {
		defer cancel()
		err := writeAll(ctx, to, write)
		if err != nil && !errors.Is(ctx.Err(), context.Canceled) { // else the client left
			log.Error("an answer was broken off", "request_id", id, "error", err)
		}
		_ = to.CloseWithError(err) // nil is its end; never fails
	}()
}

func writeAll(ctx context.Context, to io.Writer, write func(context.Context, *bufio.Writer) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("a stream panicked: %T\n%s", r, debug.Stack())
		}
	}()
	out := bufio.NewWriterSize(to, streamChunk)
	err = write(ctx, out)
	if flushed := out.Flush(); err == nil {
		err = flushed
	}
	return err
}

// stream is what the server reads of an answer. Each piece has to be taken in time.
type stream struct {
	*io.PipeReader
	conn   net.Conn
	cancel context.CancelFunc
}

func (s *stream) Read(into []byte) (int, error) {
	n, err := s.PipeReader.Read(into)
	if deadline := s.conn.SetWriteDeadline(time.Now().Add(readerLimit)); deadline != nil && err == nil {
		err = deadline
	}
	return n, err
}

// Close is the server's: it has sent all, or nobody takes it.
func (s *stream) Close() error {
	s.cancel()
	return s.PipeReader.Close()
}
