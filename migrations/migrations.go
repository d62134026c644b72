// Package migrations holds the schema, one numbered step a file, embedded. They
// are run by goose (server migrate); AutoMigrate is never called.
package migrations

import "embed"

// FS holds NNNN_name.sql.
//
//go:embed *.sql
var FS embed.FS
