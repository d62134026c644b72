package console

// farewell is all that an admin of an ended contract can open.
const farewell = "/console/farewell"

func (v *visit) farewellPage() error { return v.render("farewell", nil) }

func (v *visit) exportEverything() error { return errNotFound }
