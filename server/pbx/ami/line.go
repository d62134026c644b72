package ami

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"os"
	"syscall"
	"time"

	"clicktodial/server/pbx"
)

// keepUp connects, and connects again, until ctx ends.
func (p *PBX) keepUp(ctx context.Context) {
	wait, said := p.tempo.firstRetry, ""
	for ctx.Err() == nil {
		began := time.Now()
		wasUp, err := p.oneSession(ctx)
		if ctx.Err() != nil {
			return
		}
		if word := causeWord(err); wasUp || word != said {
			said = word
			p.logDown(err, word)
		}
		if time.Since(began) > p.tempo.lastRetry {
			wait = p.tempo.firstRetry
		}
		pause := wait
		if errors.Is(err, errLogin) {
			pause = p.tempo.loginRetry
		}
		wait = min(2*wait, p.tempo.lastRetry)
		select {
		case <-ctx.Done():
		case <-time.After(pause/2 + mathrand.N(pause/2+1)):
		}
	}
}

func (p *PBX) logDown(err error, word string) {
	if errors.Is(err, errLogin) {
		p.log.Error("pbx refuses our login: user, secret or permitted address is wrong", "cause", word)
		return
	}
	p.log.Warn("pbx line is down", "cause", word)
}

// oneSession logs in, catches up, and stays until the session or ctx ends.
func (p *PBX) oneSession(ctx context.Context) (wasUp bool, err error) {
	s, err := connect(ctx, p.config, p.tempo, p.onEvent)
	if err != nil {
		p.down(err)
		return false, err
	}
	defer func() {
		s.end(ctx.Err())
		<-s.read
		p.down(s.err)
	}()
	if err := p.catchUp(ctx, s); err != nil {
		s.end(err)
		return false, err
	}
	p.mu.Lock()
	p.session = s
	if p.running {
		// Beside the line, not before it: a PBX that does not answer this can dial.
		p.tasks.Go(func() { _, _ = p.recognise(ctx, s) }) // the next ping tries again
	}
	p.mu.Unlock()
	p.log.Info("pbx line is up")
	s.keepAlive(ctx, func(ctx context.Context) { p.confirmBoot(ctx, s) })
	s.end(ctx.Err())
	return true, s.err
}

func (p *PBX) down(cause error) {
	p.states.clear()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.session, p.cause = nil, cause
}

// catchUp asks about every followed call, before the line counts as up.
func (p *PBX) catchUp(ctx context.Context, s *session) error {
	p.mu.Lock()
	following := p.tracker.hold(func(*track) bool { return true })
	p.mu.Unlock()
	if following == 0 {
		return nil
	}
	restarted, err := p.recognise(ctx, s)
	if err != nil && !errors.Is(err, errNoReply) {
		return fmt.Errorf("recognising the exchange: %w", err)
	}
	return p.lookAgain(ctx, s, restarted)
}

// lookAgain reconciles every call that is held with the channels that exist.
func (p *PBX) lookAgain(ctx context.Context, s *session, restarted bool) error {
	all, err := listChannels(ctx, s)
	if err != nil {
		return fmt.Errorf("listing channels: %w", err)
	}
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	again := false
	for id, t := range p.tracker.calls {
		if t.holding && !p.tracker.reconcile(id, all, now) && p.tracker.missing(id, restarted, now) {
			again = true
		}
	}
	p.flush(s)
	if again && p.running {
		p.tasks.Go(func() { p.lookLater(ctx, s) })
	}
	return nil
}

// lookLater looks once more for calls in doubt that were not there at first.
func (p *PBX) lookLater(ctx context.Context, s *session) {
	select {
	case <-ctx.Done():
		return
	case <-s.done:
		return // the next session looks again
	case <-time.After(p.tempo.recheck):
	}
	p.mu.Lock()
	p.tracker.hold(func(t *track) bool { return !t.mainSeen })
	p.mu.Unlock()
	if err := p.lookAgain(ctx, s, false); err != nil {
		p.log.Warn("pbx was not asked again about calls in doubt", "cause", causeWord(err))
	}
}

// bootVariable is a global variable that we leave in the PBX. It is gone when
// the PBX has restarted: nothing else tells the least account so.
const bootVariable = "CTD_BOOT"

// recognise says whether the PBX restarted since we last knew it.
func (p *PBX) recognise(ctx context.Context, s *session) (restarted bool, err error) {
	now, err := readBoot(ctx, s)
	if err != nil {
		return false, err
	}
	p.mu.Lock()
	restarted = p.boot != "" && p.boot != now
	p.mu.Unlock()
	if now == "" {
		// Two replicas may both find it missing and set it: the next ping finds which.
		if err := writeBoot(ctx, s); err != nil {
			return restarted, err
		}
		if now, err = readBoot(ctx, s); err != nil {
			return restarted, err
		}
	}
	p.mu.Lock()
	p.boot = now
	p.mu.Unlock()
	return restarted, nil
}

// confirmBoot reads again what may have been set twice, or cleared by a reload.
func (p *PBX) confirmBoot(ctx context.Context, s *session) {
	now, err := readBoot(ctx, s)
	if err != nil {
		return // pings tell whether the line is lost
	}
	p.mu.Lock()
	p.boot = now
	p.mu.Unlock()
	if now == "" {
		_ = writeBoot(ctx, s) // tried again at the next ping
	}
}

func readBoot(ctx context.Context, s *session) (string, error) {
	reply, err := s.do(ctx, action{{"Action", "Getvar"}, {"Variable", bootVariable}})
	return reply[kValue], err
}

func writeBoot(ctx context.Context, s *session) error {
	_, err := s.do(ctx, action{{"Action", "Setvar"}, {"Variable", bootVariable}, {"Value", rand.Text()}})
	return err
}

// Adopt follows a call that another process dialled.
func (p *PBX) Adopt(ctx context.Context, channelID string) (pbx.Snapshot, error) {
	if !pbx.ValidChannelID(channelID) {
		return pbx.Snapshot{}, pbx.Refused(errors.New("bad channel id"))
	}
	s, err := p.line()
	if err != nil {
		return pbx.Snapshot{}, err
	}
	p.mu.Lock()
	if t := p.tracker.calls[channelID]; t != nil {
		defer p.mu.Unlock()
		return pbx.Snapshot{Kind: t.reached}, nil // followed already
	}
	p.tracker.follow(channelID, "", "", time.Now()).holding = true
	p.mu.Unlock()

	all, err := listChannels(ctx, s)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.tracker.forget(channelID)
		return pbx.Snapshot{}, pbx.Unavailable(err)
	}
	t := p.tracker.calls[channelID]
	if t == nil || !p.tracker.reconcile(channelID, all, time.Now()) {
		p.tracker.forget(channelID)
		return pbx.Snapshot{}, pbx.ErrGone
	}
	snapshot := pbx.Snapshot{Kind: t.reached}
	p.flush(s)
	return snapshot, nil
}

// causeWord is a closed set of words for the log: an error's own text may hold
// an address.
func causeWord(err error) string {
	var (
		dns     *net.DNSError
		record  tls.RecordHeaderError
		unknown x509.UnknownAuthorityError
		host    x509.HostnameError
		invalid x509.CertificateInvalidError
		alert   tls.AlertError
		verify  *tls.CertificateVerificationError
		timeout net.Error
	)
	switch {
	case err == nil:
		return "none"
	case errors.Is(err, errLogin):
		return "login-refused"
	case errors.Is(err, errSilent):
		return "silent"
	case errors.Is(err, errNoGreeting):
		return "not-ami"
	case errors.Is(err, errTooLong):
		return "protocol"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection-refused"
	case errors.As(err, &dns):
		return "no-such-host"
	case errors.As(err, &record), errors.As(err, &unknown), errors.As(err, &host), errors.As(err, &invalid),
		errors.As(err, &alert), errors.As(err, &verify):
		return "tls"
	case errors.Is(err, errNoReply), errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "timeout"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return "closed"
	default:
		return "lost"
	}
}
