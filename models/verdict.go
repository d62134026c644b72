package models

import (
	"time"

	"github.com/google/uuid"

	"clicktodial/server/phone"
)

// Question asks package policy whether a user may call a number now.
type Question struct {
	TenantID uuid.UUID
	UserID   uuid.UUID
	Number   phone.Number
	Region   string
	Confirm  string // the token of a second gesture, or ""
}

// Ruling is the answer to a Question.
type Ruling string

// The rulings, as the API says them.
const (
	Allowed     Ruling = "allowed"
	MustConfirm Ruling = "confirm" // after a second gesture
	Denied      Ruling = "denied"
)

// Verdict is a ruling with its reason, and the limits that hold if it allows.
type Verdict struct {
	Ruling  Ruling
	Code    string // kebab-case; "" when allowed
	Detail  string // one English sentence
	Confirm string // what to send as `confirm`, with ruling confirm

	AtOnce    int // calls of the user that may be up at once
	PerWindow int // calls of the user within Window
	Window    time.Duration
}
