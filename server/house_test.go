package main

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "clicktodial"

// floors is the house, from the ground up. An import points to a lower floor:
// packages of one floor do not know each other. A folder that ends in /* stands
// for each package in it.
var floors = [][]string{
	{"server/fault", "server/config", "server/memo", "server/secret", "server/logfile"},
	{"server/phone", "server/sheet"},
	{"models", "migrations"},
	{"server/pbx"},
	{"server/pbx/*", "server/store", "server/live"},
	{"server/audit", "server/testdb", "server/pbx/pbxtest"},
	{"server/auth", "server/call", "server/retention", "server/policy"},
	{"server/web", "server/mail", "server/register"},
	{"server/api", "server/console"},
	{"server/cli"},
	{"server", "scripts/*"}, // tools of ours beside it
}

// testHelp may be imported by tests only, from whatever floor.
var testHelp = []string{"server/testdb", "server/pbx/pbxtest"}

// libraries says which packages, and those below their folders, may import one,
// tests included.
var libraries = map[string][]string{
	"gorm.io/":                   {"server/store"},
	"github.com/redis/go-redis/": {"server/live"},
	"github.com/gofiber/":        {"server/web", "server/api", "server/console", "server/cli", "scripts/loadtest"}, // the last: its yardstick is a bare route
	"github.com/valyala/":        {"server/web", "server/api", "server/console", "server/cli"},
	"github.com/danielgtaylor/":  {"server/web", "server/api", "server/console", "server/cli"},
}

// strangers do not know each other although the floors would let them: a handler
// asks a service, never the database.
var strangers = map[string][]string{
	"server/api":     {"server/store"},
	"server/console": {"server/store"},
}

// imports is what one file imports.
type imports struct {
	pkg  string // folder below the module's root
	file string
	test bool
	path []string
}

func floorOf(pkg string) int {
	folder := filepath.Dir(pkg) + "/*"
	for _, name := range []string{pkg, folder} {
		for floor, pkgs := range floors {
			if slices.Contains(pkgs, name) {
				return floor
			}
		}
	}
	return -1
}

// faults finds what is wrong with a file's imports.
func faults(f imports) []string {
	var out []string
	own := floorOf(f.pkg)
	if own < 0 {
		return []string{fmt.Sprintf("%s: package %s stands on no floor", f.file, f.pkg)}
	}
	for _, path := range f.path {
		for prefix, allowed := range libraries {
			if strings.HasPrefix(path, prefix) && !slices.Contains(allowed, f.pkg) {
				out = append(out, fmt.Sprintf("%s: only %s may import %s", f.file, strings.Join(allowed, ", "), path))
			}
		}
		to, ours := strings.CutPrefix(path, module+"/")
		if ours && to != f.pkg { // an external test imports its own package
			out = append(out, faultsInside(f, own, to)...)
		}
	}
	return out
}

func faultsInside(f imports, own int, to string) []string {
	help := slices.Contains(testHelp, to)
	switch {
	case floorOf(to) < 0:
		return []string{fmt.Sprintf("%s: imports %s, which stands on no floor", f.file, to)}
	case help && f.test:
		return nil
	case help && !slices.Contains(testHelp, f.pkg):
		return []string{fmt.Sprintf("%s: %s is for tests", f.file, to)}
	case slices.Contains(strangers[f.pkg], to) && !f.test:
		return []string{fmt.Sprintf("%s: %s never sees %s", f.file, f.pkg, to)}
	case floorOf(to) >= own && !f.test:
		return []string{fmt.Sprintf("%s: %s (floor %d) imports %s (floor %d)", f.file, f.pkg, own, to, floorOf(to))}
	}
	return nil
}

// parse reads all Go files below root, in this process: what a child process
// reads, the cache of test results does not know of, and an old pass stays.
func parse(t *testing.T, root string) []imports {
	t.Helper()
	var all []imports
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			hidden := strings.HasPrefix(name, ".") && path != root
			if hidden || name == "node_modules" || name == "testdata" || name == "vendor" {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		f := imports{pkg: filepath.ToSlash(filepath.Dir(rel)), file: rel, test: strings.HasSuffix(name, "_test.go")}
		for _, spec := range file.Imports {
			f.path = append(f.path, strings.Trim(spec.Path.Value, `"`+"`"))
		}
		all = append(all, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestHouse(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("../go.mod"); err != nil {
		t.Fatal(err)
	}
	all := parse(t, "..")
	seen := map[string]bool{}
	for _, f := range all {
		seen[f.pkg] = true
		for _, fault := range faults(f) {
			t.Error(fault)
		}
	}
	for _, pkg := range []string{"models", "migrations", "server/fault", "server/store", "server/live", "server/call", "server/auth"} {
		if !seen[pkg] {
			t.Errorf("package %s was not read: the test proves little", pkg)
		}
	}
}

// The check sees what it is for.
func TestHouseSeesViolations(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name, pkg string
		test      bool
		path      string
		wrong     bool
	}{
		{"down", "server/call", false, module + "/server/store", false},
		{"far down", "server/cli", false, module + "/server/fault", false},
		{"a service imports another", "server/call", false, module + "/server/auth", true},
		{"up", "server/store", false, module + "/server/call", true},
		{"models up", "models", false, module + "/server/pbx", true},
		{"the adapters are apart", "server/pbx/ami", false, module + "/server/pbx/practice", true},
		{"an adapter not heard of yet", "server/pbx/esl", false, module + "/server/pbx", false},
		{"an adapter sees the database", "server/pbx/ami", false, module + "/server/store", true},
		{"main", "server", false, module + "/server/cli", false},
		{"a new package", "server/utils", false, "fmt", true},
		{"a new package is imported", "server/call", false, module + "/server/utils", true},
		{"api sees the store", "server/api", false, module + "/server/store", true},
		{"console sees the store", "server/console", false, module + "/server/store", true},
		{"a test of api sees the store", "server/api", true, module + "/server/store", false},
		{"a test has a database", "server/store", true, module + "/server/testdb", false},
		{"a test of a service uses another", "server/call", true, module + "/server/policy", false},
		{"testdb outside of tests", "server/call", false, module + "/server/testdb", true},
		{"GORM", "server/store", false, "gorm.io/gorm", false},
		{"GORM elsewhere", "server/call", false, "gorm.io/gorm", true},
		{"GORM in models", "models", false, "gorm.io/gorm", true},
		{"GORM in a test elsewhere", "server/call", true, "gorm.io/gorm", true},
		{"Redis elsewhere", "server/auth", false, "github.com/redis/go-redis/v9", true},
		{"Fiber in a service", "server/call", false, "github.com/gofiber/fiber/v2", true},
		{"Fiber in api", "server/api", false, "github.com/gofiber/fiber/v2", false},
		{"Huma in a service", "server/policy", false, "github.com/danielgtaylor/huma/v2", true},
	}
	for _, row := range rows {
		f := imports{pkg: row.pkg, file: "made/up.go", test: row.test, path: []string{row.path}}
		if got := faults(f); (len(got) > 0) != row.wrong {
			t.Errorf("%s: %v, want wrong %v", row.name, got, row.wrong)
		}
	}
	// And through real files.
	root := t.TempDir()
	folder := filepath.Join(root, "server", "call")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	source := "package call\n\nimport _ \"clicktodial/server/auth\"\n"
	if err := os.WriteFile(filepath.Join(folder, "x.go"), []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	files := parse(t, root)
	if len(files) != 1 || len(faults(files[0])) != 1 {
		t.Errorf("a file that is wrong: %v", files)
	}
}
