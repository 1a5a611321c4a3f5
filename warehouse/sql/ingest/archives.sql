-- Archives: rows of text files as texts, and what cells of numbers and days say.


-- name: csv_dialect
-- grain: one row; the escape character that the sniffer found
SELECT "Escape" AS escape
FROM sniff_csv(
    $path, delim = $delimiter, header = TRUE, skip = $skip, all_varchar = TRUE, ignore_errors = TRUE
);


-- name: csv_rows
-- grain: one row per readable row of the file, in order; a column for each of $wanted
SELECT COLUMNS(name -> list_contains($wanted, name))
FROM read_csv(
    $path, auto_detect = FALSE, header = FALSE, skip = $skip, columns = $columns, delim = $delimiter,
    quote = $quote, escape = $escape, ignore_errors = TRUE, max_line_size = 16000000
);


-- name: csv_broken
-- builds: csv_counted
-- grain: one row per line that is no row of the table, in order
-- Both scans read the same columns: a cell that nobody asks for is not decoded.
CREATE OR REPLACE TEMP TABLE csv_counted AS
SELECT count(*) AS readable
FROM (
    SELECT COLUMNS(name -> list_contains($wanted, name))
    FROM read_csv(
        $path, auto_detect = FALSE, header = FALSE, skip = $skip, columns = $columns,
        delim = $delimiter, quote = $quote, escape = $escape, store_rejects = TRUE, rejects_limit = 0,
        max_line_size = 16000000
    )
) AS scanned
WHERE hash(scanned) IS NOT NULL;

SELECT
    min(line)::BIGINT AS line,
    line_byte_position::BIGINT AS position,
    arg_min(
        CASE error_type
            WHEN 'MISSING COLUMNS' THEN 'line has fewer cells than the header'
            WHEN 'TOO MANY COLUMNS' THEN 'line has more cells than the header'
            WHEN 'UNQUOTED VALUE' THEN 'line has a quote that does not close its cell'
            WHEN 'INVALID ENCODING' THEN 'line is not UTF-8 text'
            WHEN 'LINE SIZE OVER MAXIMUM' THEN 'line is too long'
            ELSE 'line could not be read'
        END, column_idx
    ) AS reason,
    left(trim(any_value(csv_line), chr(10) || chr(13)), 10000) AS text
FROM reject_errors
WHERE scan_id = (SELECT max(scan_id) FROM reject_scans)
GROUP BY line_byte_position
ORDER BY line_byte_position;


-- name: csv_readable
-- grain: one row; how many rows the scan behind csv_broken could read
SELECT readable FROM csv_counted;


-- name: json_line_rows
-- grain: one row per line that is an object, in order; its values at $paths as texts
SELECT json_extract_string(line, $paths) AS cells
FROM read_csv(
    $path, auto_detect = FALSE, header = FALSE, columns = {'line': 'VARCHAR'}, delim = chr(1),
    quote = '', escape = '', ignore_errors = TRUE, max_line_size = 16000000
)
WHERE CASE WHEN json_valid(line) THEN json_type(line) = 'OBJECT' ELSE FALSE END;


-- name: json_lines_broken
-- builds: json_lines
-- grain: one row per line that is no object, in order; empty lines are none
CREATE OR REPLACE TEMP TABLE json_lines AS
SELECT
    row_number() OVER () AS line,
    CASE WHEN NOT is_object THEN left(text, 10000) END AS text,
    is_object
FROM (
    SELECT
        line AS text,
        CASE WHEN json_valid(line) THEN json_type(line) = 'OBJECT' ELSE FALSE END AS is_object
    FROM read_csv(
        $path, auto_detect = FALSE, header = FALSE, columns = {'line': 'VARCHAR'}, delim = chr(1),
        quote = '', escape = '', store_rejects = TRUE, rejects_limit = 0, max_line_size = 16000000
    )
    WHERE trim(coalesce(line, ''), ' ' || chr(9) || chr(13)) <> ''
);

SELECT line, 0::BIGINT AS position, 'line is not a JSON object' AS reason, text
FROM json_lines
WHERE NOT is_object
UNION ALL
SELECT
    min(line)::BIGINT AS line, line_byte_position::BIGINT AS position,
    CASE
        WHEN bool_or(error_type = 'INVALID ENCODING') THEN 'line is not UTF-8 text'
        ELSE 'line is not a JSON object'
    END AS reason,
    left(any_value(csv_line), 10000) AS text
FROM reject_errors
WHERE scan_id = (SELECT max(scan_id) FROM reject_scans)
GROUP BY line_byte_position
ORDER BY line, position;


-- name: json_lines_readable
-- grain: one row; how many lines behind json_lines_broken are objects
SELECT count(*) FILTER (WHERE is_object) AS readable FROM json_lines;


-- name: json_array_rows
-- grain: one row per element of the file's array, in order; its values at $paths as texts
SELECT json_extract_string(json, $paths) AS cells
FROM read_json_objects($path, format = 'array', maximum_object_size = 16000000);


-- name: json_nested_rows
-- grain: one row per element of the array at $array in each of the file's objects, in order
-- $outer names values of the object around the array, $paths those of an element.
SELECT
    list_concat(
        json_extract_string(element, $paths::VARCHAR[]),
        json_extract_string(json, $outer::VARCHAR[])
    ) AS cells
FROM (
    SELECT json, unnest(from_json(json -> $array, '["JSON"]')) AS element
    FROM read_json_objects($path, format = 'unstructured', maximum_object_size = $longest)
);


-- name: number_cells
-- grain: one row per cell, in order; value NULL: none, which is `bad` when the cell holds something else
-- Currency signs, blanks and apostrophes are no part of a number; $decimal is the mark before its
-- fraction, the other one groups digits; K, M, B and T multiply.
WITH plain AS (
    SELECT
        position, cell,
        regexp_replace(
            regexp_replace(
                trim(cell), '^([-+]?)\s*([A-Z]{0,3}\s?\p{Sc}|[A-Z]{3}\s)\s*|\s*(\p{Sc}|\s[A-Z]{3})$', '\1',
                'g'
            ),
            '[\s\x{a0}\x{202f}\x{2009}''’_]', '', 'g'
        ) AS digits
    FROM cells
),

marked AS (
    SELECT
        position, cell, digits,
        CASE
            WHEN $decimal = ',' THEN translate(digits, ',.', '.,')
            ELSE digits
        END AS pointed
    FROM plain
),

parts AS (
    SELECT
        position, cell, digits,
        regexp_extract(
            pointed,
            '^([-+]?(?:\d+|\d{1,3}(?:,\d{2,3})*,\d{3})?(?:\.\d*)?(?:[eE][-+]?\d+)?)([KkMmBbTt]?)$',
            ['number', 'suffix']
        ) AS found
    FROM marked
)

SELECT
    CASE
        WHEN lower(digits) IN ('nan', '') THEN NULL
        ELSE
            try_cast(replace(found.number, ',', '') AS DOUBLE)
            * CASE upper(found.suffix)
                WHEN 'K' THEN 1e3 WHEN 'M' THEN 1e6 WHEN 'B' THEN 1e9 WHEN 'T' THEN 1e12 ELSE 1
            END
    END AS value,
    coalesce(
        lower(digits) NOT IN ('', 'nan', 'null', 'none', 'na', 'n/a', '#n/a')
        AND try_cast(replace(found.number, ',', '') AS DOUBLE) IS NULL, FALSE
    ) AS bad
FROM parts
ORDER BY position;


-- name: number_marks
-- grain: one row; how many cells show which mark is the decimal one
-- A comma before exactly three digits shows nothing, and neither does the one mark of `1.875`.
SELECT
    count(*) FILTER (
        WHERE regexp_matches(cell, '\d\.\d*$|\d\.\d+[^\d.,]*$') AND NOT regexp_matches(cell, '\.\d*\.')
        AND NOT regexp_matches(cell, '^\D*\d{1,3}\.\d{3}\D*$')
    ) AS points,
    count(*) FILTER (
        WHERE regexp_matches(cell, '\d,\d+[^\d.,]*$') AND NOT regexp_matches(cell, ',\d*,')
        AND NOT regexp_matches(cell, '(^|\D)\d{1,3},\d{3}\D*$')
    ) AS commas,
    count(*) FILTER (WHERE regexp_matches(cell, ',\d+,\d{3}')) AS grouping_commas,
    count(*) FILTER (WHERE regexp_matches(cell, '\.\d{3}\.\d{3}')) AS grouping_points,
    count(*) FILTER (WHERE regexp_matches(cell, '(^|[^\d,])\d{1,3},\d{3}\D*$')) AS unclear
FROM cells;


-- name: day_cells
-- grain: one row per cell, in order
-- day: the date as written, that is on the clock of the stamp's own offset. time_us: its time of day,
-- NULL for a date alone. utc: the stamp is an instant in UTC, so its date is not yet that of an
-- exchange. first, second: what stands before and after the first stroke of 01/02/2020.
-- $format: a strptime format without its zone, or NULL for the usual spellings; $format_zone: what
-- of the cell is that zone. $day_first orders the numbers of strokes.
WITH trimmed AS (
    SELECT position, nullif(trim(cell), '') AS cell
    FROM cells
),

walls AS (
    SELECT
        position, cell,
        CASE
            WHEN $format IS NOT NULL THEN regexp_replace(cell, $format_zone, '')
            ELSE regexp_replace(
                cell, '(:\d{2}(?:[.,]\d+)?)\s*(Z|UTC|GMT|[+-]\d{2}(:?\d{2})?(:\d{2})?)$', '\1'
            )
        END AS wall,
        CASE
            WHEN $format IS NOT NULL THEN regexp_extract(cell, $format_zone)
            ELSE regexp_extract(
                cell, ':\d{2}(?:[.,]\d+)?\s*(Z|UTC|GMT|[+-]\d{2}(:?\d{2})?(:\d{2})?)$', 1
            )
        END AS zone,
        CASE
            WHEN $format IS NULL AND regexp_full_match(cell, '-?\d{9,19}(\.0*)?') THEN
                CASE
                    WHEN length(regexp_replace(cell, '^-|\.0*$', '', 'g')) <= 10 THEN 1000000
                    WHEN length(regexp_replace(cell, '^-|\.0*$', '', 'g')) <= 13 THEN 1000
                    WHEN length(regexp_replace(cell, '^-|\.0*$', '', 'g')) <= 16 THEN 1
                    ELSE 0.001
                END * try_cast(regexp_replace(cell, '\.0*$', '') AS DECIMAL(19, 0))
        END AS epoch
    FROM trimmed
),

dated AS (
    SELECT
        position, cell, wall, zone, epoch,
        regexp_extract(
            wall, '^(.*?)(?:[T, ]+(\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?:\s*[AaPp][Mm])?))?$',
            ['day', 'time']
        ) AS parts,
        regexp_extract(
            wall, '^(\d{1,2})([-/.])(\d{1,2})[-/.](\d{4}|\d{2})(?:\D|$)',
            ['one', 'stroke', 'two', 'year']
        ) AS strokes,
        regexp_extract(
            wall, '^(\d{4})[-/.]?(\d{1,2})[-/.]?(\d{1,2})(?:\D|$)', ['year', 'month', 'day']
        ) AS iso
    FROM walls
),

read AS (
    SELECT
        position, cell, strokes,
        CASE
            WHEN $format IS NOT NULL THEN try_strptime(wall, $format)
            WHEN epoch IS NOT NULL THEN TRY(make_timestamp(epoch::BIGINT))
            WHEN iso.year <> '' THEN
                try_cast(concat(iso.year, '-', iso.month, '-', iso.day) AS DATE)::TIMESTAMP
            WHEN strokes.year <> '' THEN try_cast(concat(
                CASE
                    WHEN length(strokes.year) = 4 THEN ''
                    WHEN strokes.year < '70' THEN '20' ELSE '19'
                END, strokes.year, '-',
                CASE WHEN $day_first OR strokes.stroke = '.' THEN strokes.two ELSE strokes.one END, '-',
                CASE WHEN $day_first OR strokes.stroke = '.' THEN strokes.one ELSE strokes.two END
            ) AS DATE)::TIMESTAMP
            ELSE try_strptime(parts.day, [
                '%b %d, %Y', '%B %d, %Y', '%d %b %Y', '%d %B %Y', '%d-%b-%y', '%d-%b-%Y', '%b %d %Y',
                '%a, %d %b %Y', '%A, %B %d, %Y', '%d. %B %Y'
            ])
        END AS wall,
        CASE
            WHEN $format IS NOT NULL OR epoch IS NOT NULL THEN NULL
            WHEN parts.time = '' THEN NULL
            WHEN regexp_matches(parts.time, '[MmPpAa]')
                THEN epoch_us(try_strptime(upper(replace(parts.time, ' ', '')), [
                    '%I:%M%p', '%I:%M:%S%p'
                ])) % 86400000000
            ELSE epoch_us(try_cast('1970-01-01 ' || replace(parts.time, ',', '.') AS TIMESTAMP))
        END AS time_us,
        ($format IS NOT NULL AND regexp_matches($format, '%[HIMSpfcTXR]')) OR epoch IS NOT NULL AS stamped,
        $format IS NULL AND epoch IS NULL AND parts.time <> '' AS spelt,
        epoch IS NOT NULL OR regexp_full_match(zone, 'Z|UTC|GMT|[+-]00(:?00)?(:00)?') AS utc
    FROM dated
)

SELECT
    CASE WHEN NOT spelt OR time_us IS NOT NULL THEN wall::DATE END AS day,
    coalesce(time_us, CASE WHEN stamped THEN epoch_us(wall) - epoch_us(wall::DATE::TIMESTAMP) END) AS time_us,
    coalesce(utc, FALSE) AS utc,
    CASE WHEN strokes.stroke IN ('/', '-') THEN try_cast(strokes.one AS INTEGER) END AS first,
    CASE WHEN strokes.stroke IN ('/', '-') THEN try_cast(strokes.two AS INTEGER) END AS second
FROM read
ORDER BY position;


-- name: day_survey
-- grain: one row; what a slice of an archive shows of how its days are written
-- several: days of a ticker that are stamped with more than one time of day.
SELECT
    count(day) AS days,
    count(*) FILTER (WHERE first > 12 AND second <= 12) AS day_first,
    count(*) FILTER (WHERE second > 12 AND first <= 12) AS month_first,
    count(*) FILTER (WHERE first <= 12 AND second <= 12 AND first <> second) AS either,
    count(*) FILTER (WHERE utc AND time_us = 0) AS utc_midnights,
    count(*) FILTER (WHERE utc AND time_us <> 0) AS utc_stamps,
    count(*) FILTER (WHERE time_us <> 0) AS stamps,
    count(DISTINCT (ticker, day)) FILTER (WHERE day IS NOT NULL) AS ticker_days,
    count(DISTINCT (ticker, day, time_us)) FILTER (WHERE time_us IS NOT NULL)
    - count(DISTINCT (ticker, day)) FILTER (WHERE time_us IS NOT NULL) AS several
FROM read;


-- name: json_array_sample
-- grain: one row per element at the beginning of the file's array
SELECT json::VARCHAR AS element
FROM read_json_objects($path, format = 'array', maximum_object_size = 16000000)
LIMIT 100;


-- name: json_object_keys
-- grain: one row per key of the file's first object; nested: its value is a list of objects
SELECT key, coalesce(json_type(json, '/' || key || '/0') = 'OBJECT', FALSE) AS nested
FROM (
    SELECT json, unnest(json_keys(json)) AS key
    FROM (
        SELECT json
        FROM read_json_objects($path, format = 'unstructured', maximum_object_size = $longest)
        LIMIT 1
    )
);


-- name: json_nested_sample
-- grain: one row per element at the beginning of the array at $array
SELECT unnest(from_json(json -> $array, '["JSON"]')[1:100])::VARCHAR AS element
FROM read_json_objects($path, format = 'unstructured', maximum_object_size = $longest)
LIMIT 100;


-- name: bar_unreadable
-- grain: one row per archive row with a cell that is not what its column holds
-- record: the cells as they are in the file.
SELECT
    'bar' AS kind, $source AS source,
    concat(coalesce(ticker::VARCHAR, '?'), '@', coalesce(session::VARCHAR, '?')) AS key,
    reason,
    to_json(cells)::VARCHAR AS record,
    $payload_id AS payload_id
FROM (SELECT rows AS cells, * FROM rows)
ORDER BY position;


-- name: actions_told
-- grain: one row per action of a file of splits and dividends, and per row that tells none
-- A split may be written as new shares for old ones: 2:1, 3/2, 2-for-1. 0 and empty cells are none.
WITH ratios AS (
    SELECT
        *,
        regexp_extract(
            lower(coalesce(split, CASE WHEN lower(trim(kind)) = 'split' THEN value END)),
            '^\s*([0-9.]+)\s*(?::|/|-?\s*for\s*-?|-)\s*([0-9.]+)\s*$', ['new', 'old']
        ) AS ratio
    FROM cells
),

told AS (
    SELECT
        position, trim(ticker) AS ticker, ex_date::VARCHAR AS written, day,
        coalesce(lower(trim(kind)), 'split') AS kind,
        CASE WHEN kind IS NULL THEN split ELSE value END AS cell,
        coalesce(
            try_cast(ratio.new AS DOUBLE) / nullif(try_cast(ratio.old AS DOUBLE), 0),
            CASE WHEN kind IS NULL THEN split_number ELSE value_number END
        ) AS value
    FROM ratios
    WHERE kind IS NOT NULL OR coalesce(trim(split), '') NOT IN ('', '0', '0.0')
    UNION ALL
    SELECT position, trim(ticker), ex_date::VARCHAR, day, 'dividend', dividend, dividend_number
    FROM ratios
    WHERE kind IS NULL AND coalesce(trim(dividend), '') NOT IN ('', '0', '0.0')
)

SELECT
    cells.position, trim(cells.ticker) AS ticker, coalesce(told.written, cells.ex_date::VARCHAR) AS written,
    cells.day AS ex_date, told.kind, told.cell, told.value,
    CASE
        WHEN told.position IS NULL THEN 'no action in this row'
        WHEN cells.day IS NULL THEN 'date is not understood'
        WHEN told.value IS NULL THEN 'value is not a number'
    END AS reason
FROM cells
LEFT JOIN told USING (position)
ORDER BY cells.position, told.kind;


-- name: actions_unreadable
-- grain: one row per action that cannot be read, as a reject
SELECT
    'action' AS kind, $source AS source,
    coalesce(ticker, '?') || '@' || coalesce(written, '?') || '@' || coalesce(kind, '?') AS key, reason,
    to_json({'ticker': ticker, 'ex_date': written, 'kind': kind, 'value': cell})::VARCHAR AS record,
    $payload_id AS payload_id
FROM told
WHERE reason IS NOT NULL
ORDER BY position;


-- name: actions_readable
-- grain: one row per action that can be read, to be validated
-- basis NULL: dividends as paid.
SELECT
    ticker, ex_date, kind, value,
    CASE WHEN kind = 'split' THEN ex_date ELSE coalesce($basis::DATE, ex_date) END AS basis_date,
    $source AS source, $payload_id AS payload_id, FALSE AS "foreign"
FROM told
WHERE reason IS NULL
ORDER BY position;
