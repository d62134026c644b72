package retention

// What tests may see.
var (
	MonthAfter = monthAfter
	SafeCell   = safeCell
)

// ExportPage is how many rows an export holds in memory.
const ExportPage = exportPage
