// Package cli is the command line, one file a command, and the place where the
// services are put together (wire.go).
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"clicktodial/server/config"
	"clicktodial/server/fault"
	"clicktodial/server/web"
)

// commands is the whole command line.
type commands struct {
	JSON bool `help:"Print one JSON object." name:"json"`

	Migrate migrateCmd `cmd:"" help:"Bring the database to the newest schema."`
	Serve   serveCmd   `cmd:"" help:"Run the service."`
	Tenant  struct {
		Create tenantCreateCmd `cmd:"" help:"Make a tenant and its first admin."`
		Set    tenantSetCmd    `cmd:"" help:"Change a tenant."`
		End    tenantEndCmd    `cmd:"" help:"End a tenant's contract: nobody of it can sign in or call."`

		Certificate tenantCertificateCmd `cmd:"" help:"Show the certificate that all data of an ended contract has gone."`
	} `cmd:"" help:"Customer companies."`
	User struct {
		Create   userCreateCmd   `cmd:"" help:"Make a user."`
		Password userPasswordCmd `cmd:"" help:"Set a user's password, read from standard input."`
		Pair     userPairCmd     `cmd:"" help:"Make a code that signs an extension in, once, within five minutes."`
	} `cmd:"" help:"People."`
	Device struct {
		Add deviceAddCmd `cmd:"" help:"Give a user a phone."`
	} `cmd:"" help:"Phones."`
	Token struct {
		List   tokenListCmd   `cmd:"" help:"List a user's sign-ins."`
		Revoke tokenRevokeCmd `cmd:"" help:"End sign-ins."`
	} `cmd:"" help:"Sign-ins."`
	Client struct {
		Create clientCreateCmd `cmd:"" help:"Let an internal service ask about tokens (RFC 7662)."`
		Remove clientRemoveCmd `cmd:"" help:"Take that away from it."`
	} `cmd:"" help:"Internal services that may introspect."`
	PBX struct {
		Check pbxCheckCmd `cmd:"" help:"Try the line to the PBX, ringing nobody."`
	} `cmd:"" name:"pbx" help:"The telephone exchange."`
	Dial   dialCmd `cmd:"" help:"Place a call as a user."`
	Number struct {
		Check numberCheckCmd `cmd:"" help:"Say what a number is and whether it may be dialled."`
	} `cmd:"" help:"Telephone numbers."`
	Purge struct {
		Now    purgeCmd       `cmd:"" default:"withargs" hidden:"" help:"Delete the records whose time has come."`
		Verify purgeVerifyCmd `cmd:"" help:"Recompute the chain of evidence that the purges have left."`
	} `cmd:"" help:"Delete the records whose time has come."`
	OpenAPI openAPICmd `cmd:"" name:"openapi" help:"Print the API's OpenAPI document."`
	Config  struct {
		Print configPrintCmd `cmd:"" help:"Print the configuration, secrets masked."`
	} `cmd:"" help:"The configuration."`
}

// run is what every command is given.
type run struct {
	ctx    context.Context
	cfg    *config.Config
	json   bool
	in     io.Reader
	out    io.Writer
	errOut io.Writer
}

// usageError is wrong usage that kong cannot see: exit 2.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

// Main runs one command and gives the exit code: 0, 1 for a fault, 2 for wrong
// usage or configuration.
func Main(args, environ []string, in io.Reader, out, errOut io.Writer) int {
	var c commands
	code := -1
	parser, err := kong.New(&c, kong.Name("clicktodial"),
		kong.Description("Click-to-Dial: click a number, your own phone rings, the exchange calls the number."),
		kong.Writers(out, errOut), kong.Exit(func(n int) { code = n }), kong.UsageOnError())
	if err != nil {
		fmt.Fprintln(errOut, err)
		return 2
	}
	parsed, err := parser.Parse(args)
	if code >= 0 {
		return code // --help was shown
	}
	if err != nil {
		fmt.Fprintln(errOut, "clicktodial:", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	cfg, err := config.Load(environ)
	if err != nil {
		return report(c.JSON, err, errOut)
	}
	r := &run{ctx: ctx, cfg: cfg, json: c.JSON, in: in, out: out, errOut: errOut}
	if err := parsed.Run(r); err != nil {
		return report(c.JSON, err, errOut)
	}
	return 0
}

// report prints an error as a problem and gives the exit code.
func report(asJSON bool, err error, errOut io.Writer) int {
	var bad *config.Faults
	var usage *usageError
	var hidden *printedError
	switch {
	case errors.As(err, &hidden):
		return 1
	case errors.As(err, &bad), errors.As(err, &usage):
		fmt.Fprintln(errOut, "clicktodial:", err)
		return 2
	}
	if asJSON {
		_ = json.NewEncoder(errOut).Encode(web.NewProblem(err, "en")) // nowhere else to tell it
		return 1
	}
	if f, ok := fault.Of(err); ok {
		fmt.Fprintf(errOut, "clicktodial: %s (%s)\n", f.Detail, f.Code)
		return 1
	}
	fmt.Fprintln(errOut, "clicktodial:", err)
	return 1
}

// printedError is a failure whose report was printed already.
type printedError struct{}

func (*printedError) Error() string { return "reported" }

// print shows a result: the object with --json, else what human prints.
func (r *run) print(object any, human func(w io.Writer)) error {
	if r.json {
		return json.NewEncoder(r.out).Encode(object)
	}
	human(r.out)
	return nil
}
