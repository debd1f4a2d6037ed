// Writes timestamps.tsv and letters.tsv: java Timestamps.java FOLDER (OpenJDK 17, en_US).
import java.io.PrintStream;
import java.time.Instant;
import java.time.LocalDateTime;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Random;

public class Timestamps {
    static final String PATTERN =
        "G|GGGG|GGGGG|u|uu|uuu|uuuu|uuuuu|y|yy|yyy|yyyy|yyyyy|Y|YY|YYY|YYYY|YYYYY|w|ww|W|D|DDD|d|dd|M|MM|MMM|MMMM|MMMMM"
        + "|LLL|LLLL|Q|QQ|QQQ|QQQQ|QQQQQ|q|qq|qqq|qqqq|E|EEEE|EEEEE|e|ee|eee|eeee|c|ccc|ccccc|F|g|ggggggg|a|h|hh|K|KK|k|kk|H|HH"
        + "|m|mm|s|ss|S|SSS|SSSSSSSSS|A|AAAAAAAAAA|n|nnnnnnnnnn|N|NNNNNNNNNNNNNNN|VV|O|OOOO|X|XX|XXX|XXXX|XXXXX"
        + "|x|xx|xxx|xxxx|xxxxx|Z|ZZZZ|ZZZZZ|'it''s'|''|[HH[mm]]|_-:,.;<>=é";

    static final String[] ZONES = {"UTC", "Asia/Tokyo", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu",
        "Australia/Lord_Howe", "America/St_Johns", "Africa/Monrovia", "Europe/Berlin", "Pacific/Apia"};

    public static void main(String[] args) throws Exception {
        List<Instant> at = new ArrayList<>();
        for (int year = 2014; year <= 2032; year++)
            for (int day : new int[] {-4, -3, -2, -1, 0, 1, 2, 3, 4})
                if ((year + day) % 2 == 0)
                    at.add(LocalDateTime.of(year, 1, 1, 0, 0).plusDays(day).plusSeconds(year % 5 * 17_000).toInstant(ZoneOffset.UTC));
        for (int year : new int[] {-43, -9999, -12345, 0, 1, 9, 99, 100, 999, 1000, 9999, 10000, 12345, 123456})
            at.add(LocalDateTime.of(year, 2, 28, 23, 59, 59, 999_999_999).toInstant(ZoneOffset.UTC));
        for (String text : new String[] {"2024-03-10T06:59:59.5Z", "2024-03-10T07:00:00Z", "2024-11-03T05:30:00Z",
            "2024-11-03T06:30:00Z", "2024-04-06T15:00:00Z", "2024-04-06T14:59:59Z", "2024-10-05T15:30:00Z", "1970-01-01T00:00:00Z",
            "1969-12-31T23:59:59.000000001Z", "1960-06-01T12:34:56.007Z", "2011-12-30T09:59:59Z", "2011-12-30T10:00:00Z",
            "2024-02-29T12:00:00Z", "2023-11-14T22:13:20.123456789Z"})
            at.add(Instant.parse(text));
        Random random = new Random(1);
        for (int i = 0; i < 30; i++) at.add(Instant.ofEpochSecond(random.nextInt(), random.nextInt(1_000_000_000)));

        DateTimeFormatter format = DateTimeFormatter.ofPattern(PATTERN, Locale.US);
        try (PrintStream out = new PrintStream(args[0] + "/timestamps.tsv", "UTF-8")) {
            out.println(PATTERN);
            int n = 0;
            for (Instant i : at) {
                for (int k = 0; k < 2; k++) {
                    String zone = ZONES[n++ % ZONES.length];
                    out.println(i.getEpochSecond() + "\t" + i.getNano() + "\t" + zone + "\t" + format.format(i.atZone(ZoneId.of(zone))));
                }
                n++;
            }
        }
        try (PrintStream out = new PrintStream(args[0] + "/letters.tsv", "UTF-8")) {
            for (char c = 33; c < 127; c++) {
                StringBuilder counts = new StringBuilder();
                for (int n = 1; n <= 21; n++) {
                    try {
                        DateTimeFormatter.ofPattern(String.valueOf(c).repeat(n), Locale.US);
                        counts.append(' ').append(n);
                    } catch (IllegalArgumentException e) {
                        // refused
                    }
                }
                out.println(c + "\t" + counts.toString().trim());
            }
        }
    }
}
