package population

// A vulnerability is something that may be wrong with a package. Ids are real or have the form of real ones; what is said
// of them is the lab's own and proves nothing about the real thing.
type vulnerability struct {
	id       string
	name     string // of the package
	manager  string // OS, JAR, PYTHONPKG, NODEPKG, GOBINARY
	has      string // the version that has it
	fixed    string
	score    float64
	vector   string
	epss     float64
	created  string // day
	text     string
	related  string
	noFixYet bool // when it opens first
}

// Vectors, without CVSS:3.1/.
const (
	remoteAll   = "AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
	remoteScope = "AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H"
	remoteRead  = "AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N"
	remoteStop  = "AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"
	remoteHard  = "AV:N/AC:H/PR:N/UI:N/S:U/C:H/I:N/A:N"
	localAll    = "AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H"
	localStop   = "AV:L/AC:L/PR:L/UI:N/S:U/C:N/I:N/A:H"
	localRead   = "AV:L/AC:L/PR:L/UI:N/S:U/C:L/I:N/A:N"
	clickAll    = "AV:L/AC:L/PR:N/UI:R/S:U/C:H/I:H/A:H"
	webClick    = "AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N"
)

var catalogue = []vulnerability{
	{"CVE-2021-44228", "org.apache.logging.log4j:log4j-core", "JAR", "2.14.1", "2.15.0", 10, remoteScope, 0.975, "2021-12-10", "A text that is logged can make the logger load code from a server that the sender names.", "", false},
	{"CVE-2021-45046", "org.apache.logging.log4j:log4j-core", "JAR", "2.15.0", "2.16.0", 9, remoteScope, 0.943, "2021-12-14", "The first fix of the lookup in logged texts leaves a way through the thread context.", "CVE-2021-44228", false},
	{"CVE-2022-22965", "org.springframework:spring-beans", "JAR", "5.3.16", "5.3.18", 9.8, remoteAll, 0.974, "2022-04-01", "Form data binds to the class loader of an object, which lets a client write files of its choice.", "", false},
	{"CVE-2022-42889", "org.apache.commons:commons-text", "JAR", "1.9", "1.10.0", 9.8, remoteAll, 0.962, "2022-10-13", "Substituting variables in a text runs scripts that the text names.", "", false},
	{"CVE-2023-20861", "org.springframework:spring-expression", "JAR", "5.3.25", "5.3.26", 6.5, remoteStop, 0.001, "2023-03-23", "An expression can be built that takes very long, which stops the service.", "", false},
	{"CVE-2020-36518", "com.fasterxml.jackson.core:jackson-databind", "JAR", "2.13.2", "2.13.2.1", 7.5, remoteStop, 0.006, "2022-03-11", "Objects that are nested very deeply exhaust the stack.", "", false},
	{"CVE-2022-1471", "org.yaml:snakeyaml", "JAR", "1.33", "2.0", 8.3, remoteAll, 0.022, "2022-12-01", "Reading a document makes objects of any class, which may run code.", "", false},
	{"CVE-2022-3171", "com.google.protobuf:protobuf-java", "JAR", "2.5.0", "3.16.3", 7.5, remoteStop, 0.001, "2022-10-12", "Repeated fields of a message make the parser allocate until the collector gives up.", "", false},
	{"CVE-2023-34455", "org.xerial.snappy:snappy-java", "JAR", "1.1.9.1", "1.1.10.1", 7.5, remoteStop, 0.002, "2023-06-15", "The length of a chunk is not checked before memory is asked for.", "", false},
	{"CVE-2024-22259", "org.springframework:spring-web", "JAR", "6.1.4", "6.1.5", 8.1, webClick, 0.004, "2024-03-16", "A URL that was checked by its host can lead to another one.", "", true},

	{"CVE-2023-32681", "requests", "PYTHONPKG", "2.28.2", "2.31.0", 6.1, webClick, 0.001, "2023-05-26", "Credentials for a proxy are sent on to the server after a redirect.", "", false},
	{"CVE-2023-43804", "urllib3", "PYTHONPKG", "1.26.16", "1.26.17", 8.1, remoteRead, 0.002, "2023-10-04", "A cookie header follows a redirect to another host.", "", false},
	{"CVE-2023-30861", "flask", "PYTHONPKG", "2.0.0", "2.3.2", 7.5, remoteRead, 0.002, "2023-05-02", "A cached answer may hold the session cookie of another client.", "", false},
	{"CVE-2022-40897", "setuptools", "PYTHONPKG", "58.1.0", "65.5.1", 5.9, remoteHard, 0.002, "2022-12-23", "A pattern that reads pages of an index takes time that grows with the square of a crafted page.", "", false},
	{"CVE-2023-37920", "certifi", "PYTHONPKG", "2022.12.7", "2023.7.22", 9.8, remoteAll, 0.002, "2023-07-25", "The bundle trusts roots of an issuer that is no longer trusted elsewhere.", "", false},
	{"CVE-2023-50782", "cryptography", "PYTHONPKG", "41.0.5", "42.0.0", 7.5, remoteHard, 0.001, "2024-02-05", "The time of an RSA decryption tells whether the padding was right.", "", true},
	{"CVE-2024-22195", "jinja2", "PYTHONPKG", "3.1.2", "3.1.3", 6.1, webClick, 0.001, "2024-01-11", "A filter for attributes takes names with spaces, so that \"><script>alert(1)</script> gets into the page.", "", false},
	{"CVE-2022-21699", "ipython", "PYTHONPKG", "7.31.0", "7.31.1", 8.2, localAll, 0.0006, "2022-01-19", "Configuration is read from the working directory, which another user may write to.", "", false},
	{"CVE-2024-35195", "requests", "PYTHONPKG", "2.31.0", "2.32.0", 5.6, remoteHard, 0.0004, "2024-05-20", "A session that once did not verify certificates goes on not doing so.", "", true},
	{"GHSA-5h86-8mv2-jq9f", "aiohttp", "PYTHONPKG", "3.8.5", "3.9.2", 7.5, remoteRead, 0.91, "2024-01-29", "A static route that follows links serves files outside of its folder: ../../etc/passwd.", "CVE-2024-23334", false},

	{"CVE-2022-24999", "qs", "NODEPKG", "6.5.2", "6.5.3", 7.5, remoteStop, 0.014, "2022-11-26", "A key named __proto__ in a query makes the process hang.", "", false},
	{"CVE-2021-23337", "lodash", "NODEPKG", "4.17.20", "4.17.21", 7.2, localAll, 0.006, "2021-02-15", "A template's options are code, and are not checked.", "", false},
	{"CVE-2022-25883", "semver", "NODEPKG", "7.3.7", "7.5.2", 5.3, remoteStop, 0.002, "2023-06-21", "Reading a range of versions with many spaces takes very long.", "", false},
	{"CVE-2023-45857", "axios", "NODEPKG", "1.5.0", "1.6.0", 6.5, webClick, 0.001, "2023-11-08", "A token against forged requests is sent to every host.", "", false},
	{"CVE-2023-26136", "tough-cookie", "NODEPKG", "4.1.2", "4.1.3", 6.5, remoteRead, 0.003, "2023-07-01", "The name of a cookie may be a property of all objects.", "", false},
	{"CVE-2022-46175", "json5", "NODEPKG", "2.2.1", "2.2.2", 8.8, remoteAll, 0.02, "2022-12-24", "A document with the key __proto__ changes what is made of it: {\"a\":1}{\"__proto__\":{}}.", "", false},
	{"CVE-2023-45133", "@babel/traverse", "NODEPKG", "7.22.8", "7.23.2", 8.8, clickAll, 0.0007, "2023-10-12", "Compiling crafted code runs it.", "", false},
	{"CVE-2024-29041", "express", "NODEPKG", "4.18.2", "4.19.2", 6.1, webClick, 0.0005, "2024-03-25", "A redirect to a crafted address goes around a list of allowed ones.", "", true},
	{"CVE-2024-28863", "tar", "NODEPKG", "6.1.11", "6.2.1", 6.5, remoteStop, 0.0004, "2024-03-21", "Folders in an archive may be nested without bound, until memory ends.", "", false},

	{"CVE-2023-39325", "golang.org/x/net", "GOBINARY", "v0.10.0", "0.17.0", 7.5, remoteStop, 0.003, "2023-10-11", "Requests that are made and cancelled at once keep the server busy.", "CVE-2023-44487", false},
	{"CVE-2022-41721", "golang.org/x/net", "GOBINARY", "v0.2.0", "0.5.0", 7.5, remoteHard, 0.001, "2023-01-13", "The body of one request can be read as the start of the next.", "", false},
	{"CVE-2023-48795", "golang.org/x/crypto", "GOBINARY", "v0.14.0", "0.17.0", 5.9, remoteHard, 0.96, "2023-12-18", "Somebody between the two sides of an SSH connection can leave out messages at its start.", "", false},
	{"CVE-2024-24786", "google.golang.org/protobuf", "GOBINARY", "v1.31.0", "1.33.0", 7.5, remoteStop, 0.0005, "2024-03-05", "Reading certain JSON never ends.", "", true},

	{"CVE-2022-3643", "kernel", "OS", "4.14.301", "5.10.162", 10, remoteScope, 0.001, "2022-12-07", "A guest can stop the network card of its host with packets whose headers are spread over parts.", "", false},
	{"CVE-2022-0847", "kernel", "OS", "5.10.96", "5.10.102", 7.8, localAll, 0.076, "2022-03-10", "Pages of read-only files can be written through a pipe.", "", false},
	{"CVE-2023-0386", "kernel", "OS", "5.10.162", "5.10.173", 7.8, localAll, 0.035, "2023-03-22", "Copying a file up in an overlay keeps its rights over the boundary of a user namespace.", "", false},
	{"CVE-2024-1086", "kernel", "OS", "5.10.205", "5.10.209", 7.8, localAll, 0.85, "2024-01-31", "A verdict of the packet filter frees memory twice.", "", false},
	{"CVE-2021-3744", "linux", "OS", "4.19.118", "4.19.232", 5.5, localStop, 0.00075, "2022-03-04", "A driver for encryption in hardware does not free memory when a request fails.", "", false},
	{"CVE-2023-2650", "openssl", "OS", "1.1.1n", "1.1.1o", 6.5, remoteStop, 0.0014, "2023-05-30", "Writing very long object identifiers as text\ntakes time that grows with the square of their length.", "", false},
	{"CVE-2022-0778", "openssl", "OS", "1.1.1k", "1.1.1n", 7.5, remoteStop, 0.013, "2022-03-15", "A certificate with a bad curve makes a square root that never ends.", "", false},
	{"CVE-2023-0286", "openssl", "OS", "1.1.1n", "1.1.1t", 7.4, remoteHard, 0.004, "2023-02-08", "An address in a certificate is read as another type, which shows memory.", "", false},
	{"CVE-2023-5363", "openssl", "OS", "3.0.8", "3.0.12", 7.5, remoteRead, 0.002, "2023-10-25", "The length of a key is set too late, so that part of it is not used.", "", false},
	{"CVE-2021-3156", "sudo", "OS", "1.8.23", "1.8.31", 7.8, localAll, 0.97, "2021-01-26", "An argument that ends in a backslash writes beyond a buffer, which makes any user root.", "", false},
	{"CVE-2021-4034", "polkit", "OS", "0.112", "0.113", 7.8, localAll, 0.0005, "2022-01-28", "A program without arguments reads its environment as them, which makes any user root.", "", false},
	{"CVE-2023-38545", "curl", "OS", "7.88.1", "8.4.0", 9.8, remoteAll, 0.003, "2023-10-18", "A host name that is too long for a proxy is copied to the heap all the same.", "", false},
	{"CVE-2023-38546", "curl", "OS", "7.88.1", "8.4.0", 3.7, remoteHard, 0.0006, "2023-10-18", "Cookies can be put into a transfer that was copied.", "", false},
	{"CVE-2022-37434", "zlib", "OS", "1.2.11", "1.2.12", 9.8, remoteAll, 0.004, "2022-08-05", "A header's extra field is copied without looking at its length.", "", false},
	{"CVE-2018-25032", "zlib", "OS", "1.2.11", "1.2.12", 7.5, remoteStop, 0.002, "2022-03-25", "Compressing text with many matches far apart writes over memory.", "", false},
	{"CVE-2023-4911", "glibc", "OS", "2.34", "2.35", 7.8, localAll, 0.014, "2023-10-03", "A variable that tunes the loader writes beyond a buffer, which makes any user root.", "", false},
	{"CVE-2021-33574", "glibc", "OS", "2.31", "2.32", 9.8, remoteAll, 0.009, "2021-05-25", "A notification of a queue uses attributes after they were freed.", "", false},
	{"CVE-2022-1271", "gzip", "OS", "1.10", "1.12", 8.8, clickAll, 0.004, "2022-08-31", "A file name with two lines, given to a search in compressed files, writes another file.", "", false},
	{"CVE-2023-29491", "ncurses", "OS", "6.2", "6.4", 7.8, localAll, 0.0006, "2023-04-14", "A database of terminals that a user gives to a program with more rights writes over memory.", "", true},
	{"CVE-2022-2526", "systemd", "OS", "245", "251", 9.8, remoteAll, 0.002, "2022-09-09", "The resolver uses an answer after it was freed.", "", false},
	{"CVE-2023-7104", "sqlite", "OS", "3.34.1", "3.43.0", 7.3, localAll, 0.001, "2023-12-29", "Comparing a session's change reads beyond a buffer.", "", false},
	{"CVE-2024-3094", "xz-utils", "OS", "5.6.0", "5.6.1+really5.4.5", 10, remoteScope, 0.86, "2024-03-29", "The archive that is built has code in it that is not in its sources.", "", false},
	{"CVE-2024-6387", "openssh-server", "OS", "8.9p1", "9.8p1", 8.1, remoteAll, 0.29, "2024-07-01", "A signal that comes while a login is slow runs functions that are not safe there.", "", false},
	{"CVE-2023-51385", "openssh", "OS", "8.4p1", "9.6p1", 6.5, remoteHard, 0.002, "2023-12-18", "A host name with shell characters such as $(touch x) or `id` reaches a proxy's command line.", "", false},
	{"CVE-2024-29069", "snapd", "OS", "2.63", "2.64", 4.8, clickAll, 0.00043, "2024-07-25", "Links in an archive are followed when it is unpacked, so that a file's content can be read by all.", "USN-6940-1", false},
	{"CVE-2016-2781", "coreutils", "OS", "8.32", "9.1", 3.3, localRead, 0.0004, "2017-02-07", "A program in another root can put text into the terminal of whom it was started by.", "", true},
	{"CVE-2022-3219", "gnupg2", "OS", "2.2.27", "2.2.41", 3.3, localStop, 0.0004, "2023-02-23", "A key that is built for it takes very long to read.", "", true},
	{"CVE-2011-3374", "apt", "OS", "2.2.4", "2.6.1", 3.7, remoteHard, 0.001, "2019-11-26", "A command that adds keys does not verify them.", "", true},
	{"CVE-2024-45490", "expat", "OS", "2.4.1", "2.6.3", 9.8, remoteAll, 0.0009, "2024-08-30", "A negative length of a part of a document is taken.", "", false},
}

// severityOf is the label of a score.
func severityOf(score float64) string {
	switch {
	case score >= 9:
		return "CRITICAL"
	case score >= 7:
		return "HIGH"
	case score >= 4:
		return "MEDIUM"
	case score > 0:
		return "LOW"
	}
	return "INFORMATIONAL"
}

// A platform is an operating system as Inspector names it, and how its packages are called.
type platform struct {
	name    string
	source  string // of its vulnerabilities
	url     string // before the id
	arch    string
	release string // of the package that has it; a number goes in
	fixed   string // of the package that is fixed
	update  string // command; the package goes in
	images  bool   // whether container images have it
}

var platforms = []platform{
	{"AMAZON_LINUX_2", "NVD", "https://nvd.nist.gov/vuln/detail/", "X86_64", "%d.amzn2", "%d.amzn2.0.1", "yum update %s", true},
	{"AMAZON_LINUX_2023", "NVD", "https://nvd.nist.gov/vuln/detail/", "X86_64", "%d.amzn2023", "%d.amzn2023.0.2", "dnf upgrade %s", false},
	{"UBUNTU_22_04", "UBUNTU_CVE", "https://people.canonical.com/~ubuntu-security/cve/", "AMD64", "%dubuntu1", "%dubuntu1.1", "apt-get update && apt-get upgrade", true},
	{"DEBIAN_11", "DEBIAN_CVE", "https://security-tracker.debian.org/tracker/", "AMD64", "0+deb11u%d", "1+deb11u%d", "apt-get update && apt-get upgrade", true},
	{"REDHAT_9_0", "REDHAT_CVE", "https://access.redhat.com/security/cve/", "X86_64", "%d.el9_0", "%d.el9_2", "dnf update %s", false},
	{"ALPINE_LINUX_3_17", "NVD", "https://nvd.nist.gov/vuln/detail/", "X86_64", "r%d", "r%d.1", "apk update && apk upgrade %s", true},
}

// A port is one that may be reachable from outside.
type port struct {
	number   int
	protocol string
	severity string
}

var ports = []port{{22, "TCP", "MEDIUM"}, {443, "TCP", "INFORMATIONAL"}, {3389, "TCP", "HIGH"}, {8080, "TCP", "LOW"}, {5432, "TCP", "HIGH"}, {53, "UDP", "LOW"}}

// A flaw is a vulnerability of code.
type flaw struct{ id, name, cwe, file, severity, text string }

var flaws = []flaw{
	{"python/hardcoded-credentials@v1.0", "Hardcoded credentials", "CWE-798", "handler.py", "CRITICAL", "A key stands in the code, where everybody who reads the code can take it."},
	{"python/os-command-injection@v1.0", "OS command injection", "CWE-78", "run.py", "HIGH", "Part of a command line comes from the event: `; rm -rf /` would be run."},
	{"javascript/sql-injection@v1.0", "SQL injection", "CWE-89", "query.js", "HIGH", "A query is put together from texts: ' OR ''=' would match every row."},
	{"python/insecure-temporary-file@v1.0", "Insecure temporary file", "CWE-377", "util.py", "LOW", "The name of a temporary file can be guessed."},
}
