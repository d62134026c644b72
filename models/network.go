package models

import "context"

type networkKey struct{}

// WithNetwork notes in the context of a request which network it came from, as
// far as the audit may know: the /24 of an IPv4 address, the /48 of an IPv6 one.
func WithNetwork(ctx context.Context, network string) context.Context {
	if network == "" {
		return ctx
	}
	return context.WithValue(ctx, networkKey{}, network)
}

// NetworkOf gives that network, or "" where no request is served.
func NetworkOf(ctx context.Context) string {
	network, _ := ctx.Value(networkKey{}).(string)
	return network
}
