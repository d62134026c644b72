package models

import (
	"database/sql/driver"

	"github.com/jackc/pgx/v5/pgtype"
)

// Texts is a Postgres text[].
type Texts []string

// Scan reads a text[]; NULL becomes an empty slice.
func (t *Texts) Scan(src any) error {
	return pgtype.NewMap().SQLScanner((*[]string)(t)).Scan(src)
}

// Value writes a text[].
func (t Texts) Value() (driver.Value, error) {
	if t == nil {
		t = Texts{}
	}
	buf, err := pgtype.NewMap().Encode(pgtype.TextArrayOID, pgtype.TextFormatCode, []string(t), nil)
	return string(buf), err
}

// GormDataType names the column type to GORM.
func (Texts) GormDataType() string { return "text[]" }
