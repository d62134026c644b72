package phone

import (
	"regexp"
	"slices"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// Class is what kind of number it is; the set is closed.
type Class string

// The classes.
const (
	Internal      Class = "internal" // an extension of the PBX: 2 to 6 digits
	Fixed         Class = "fixed"
	Mobile        Class = "mobile"
	FixedOrMobile Class = "fixed-or-mobile" // cannot be told apart, as in North America
	TollFree      Class = "toll-free"
	Premium       Class = "premium"
	SharedCost    Class = "shared-cost"
	VoIP          Class = "voip"
	Personal      Class = "personal" // follow-me services; NL 084 and 087
	Pager         Class = "pager"
	UAN           Class = "uan" // company numbers; NL 088
	Voicemail     Class = "voicemail"
	Satellite     Class = "satellite" // satellite and other global networks: +870, +878, +881 to +883, +888
	Short         Class = "short"     // short codes of the region: NL 18xx, 14 020, 116xxx
	Emergency     Class = "emergency"
	Star          Class = "star"    // PBX and network codes: begins with * or #
	Unknown       Class = "unknown" // international, but of no range known to us; and no number
)

// libClasses are libphonenumber's types in our words.
var libClasses = map[phonenumbers.PhoneNumberType]Class{
	phonenumbers.FIXED_LINE:           Fixed,
	phonenumbers.MOBILE:               Mobile,
	phonenumbers.FIXED_LINE_OR_MOBILE: FixedOrMobile,
	phonenumbers.TOLL_FREE:            TollFree,
	phonenumbers.PREMIUM_RATE:         Premium,
	phonenumbers.SHARED_COST:          SharedCost,
	phonenumbers.VOIP:                 VoIP,
	phonenumbers.PERSONAL_NUMBER:      Personal,
	phonenumbers.PAGER:                Pager,
	phonenumbers.UAN:                  UAN,
	phonenumbers.VOICEMAIL:            Voicemail,
}

// Calling codes of no country (ITU-T E.164, annex to Operational Bulletin 1114)
// that say by themselves what a call is: 800 toll free, 808 shared cost, 979
// premium. The others are networks of their own, satellites for the most part.
var globalServices = []int32{800, 808, 979}

// Class gives the kind of number.
func (n Number) Class() Class {
	if n.local != "" {
		return n.local
	}
	p := n.lib()
	if p == nil {
		return Unknown
	}
	code := p.GetCountryCode()
	if isGlobal(code) && !slices.Contains(globalServices, code) {
		return Satellite
	}
	class, ok := libClasses[phonenumbers.GetNumberType(p)]
	if !ok {
		return Unknown
	}
	// Nummerplan telefoon- en ISDN-diensten: 084 and 087 are personal assistants.
	if nsn := phonenumbers.GetNationalSignificantNumber(p); code == 31 &&
		(strings.HasPrefix(nsn, "84") || strings.HasPrefix(nsn, "87")) {
		return Personal
	}
	return class
}

func isGlobal(callingCode int32) bool {
	return phonenumbers.GetSupportedGlobalNetworkCallingCodes()[int(callingCode)]
}

// In reads a number without an international form again as one of region: Scan
// does not know the tenant, and takes 1850 for an extension.
func (n Number) In(region string) Number {
	if n.local == "" || n.local == Star {
		return n
	}
	return inside(n.Reveal(), localClass(n.Reveal(), region))
}

// localClass is the class of 2 to 6 digits dialled in region.
func localClass(digits, region string) Class {
	switch {
	case isEmergency(digits, region):
		return Emergency
	case isShort(digits, region):
		return Short
	default:
		return Internal
	}
}

// universalEmergency rings the emergency service from a phone anywhere, or may:
// 3GPP TS 22.101, 10.1.1.
var universalEmergency = []string{"112", "911", "999", "000"}

// habitEmergency is 112 or 911 behind the digit that many PBXs want for an
// outside line. Somebody who dials it means it.
var habitEmergency = regexp.MustCompile(`^[09](?:112|911)$`)

func isEmergency(digits, region string) bool {
	return slices.Contains(universalEmergency, digits) || habitEmergency.MatchString(digits) ||
		phonenumbers.IsEmergencyNumber(digits, region)
}

// shortCodes are the public short codes of a region that an extension may not
// hide. It is our own list, because libphonenumber's counts text-message codes in
// and would take nearly every three- and four-digit extension away.
var shortCodes = map[string]*regexp.Regexp{
	"NL": regexp.MustCompile(`^(?:18\d\d|140\d{2,3})$`),     // directory enquiries; municipalities
	"BE": regexp.MustCompile(`^(?:1[234]0[47])$`),           // directory enquiries
	"CH": regexp.MustCompile(`^18\d\d$`),                    // directory enquiries
	"FR": regexp.MustCompile(`^(?:10\d\d|3\d{3})$`),         // operators; value-added services
	"US": regexp.MustCompile(`^(?:[2-8]11|988)$`),           // N11, crisis line
	"CA": regexp.MustCompile(`^(?:[2-8]11|988)$`),           // the same
	"IT": regexp.MustCompile(`^(?:12\d\d|4\d{4}|89\d{4})$`), // directory enquiries, premium
}

var (
	harmonised = regexp.MustCompile(`^116\d{3}$`)   // EU decision 2007/116/EC: the same everywhere
	enquiries  = regexp.MustCompile(`^118\d{1,3}$`) // directory enquiries, costly wherever they exist
)

func isShort(digits, region string) bool {
	if own := shortCodes[region]; own != nil && own.MatchString(digits) {
		return true
	}
	return harmonised.MatchString(digits) || enquiries.MatchString(digits) && isPublicShort(digits, region)
}

// isPublicShort asks libphonenumber whether the code exists in region.
func isPublicShort(digits, region string) bool {
	p, err := phonenumbers.Parse(digits, region)
	return err == nil && phonenumbers.IsValidShortNumberForRegion(p, region)
}
