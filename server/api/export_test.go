package api

// ReadForm is readForm.
var ReadForm = readForm
