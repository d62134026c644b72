// Command server is Click-to-Dial: the service and its command line.
package main

import (
	"os"

	"clicktodial/server/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}
