-- Macros that every statement may use.

-- A ticker and a session of its exchange together are a cell: one whole number to join on.
CREATE OR REPLACE TEMP MACRO cell_of(number, place) AS number * 1000000 + place;
CREATE OR REPLACE TEMP MACRO cell_number(cell) AS cell // 1000000;
CREATE OR REPLACE TEMP MACRO cell_position(cell) AS cell % 1000000;

-- The number of an instant's UTC day, counted from the first of January of the year 1.
CREATE OR REPLACE TEMP MACRO utc_day(instant) AS
    (epoch_us(instant) + 62135596800000000) // 86400000000;

-- Text on one line, without control characters; what is plain already is not searched twice.
CREATE OR REPLACE TEMP MACRO one_line(words) AS
    CASE WHEN regexp_matches(words, '[^ -~]|  |^ | $')
         THEN trim(regexp_replace(words, '[\s\pC\pZ]+', ' ', 'g'))
         ELSE words END;

-- The instant from which a day is over everywhere on earth: noon UTC of the next.
CREATE OR REPLACE TEMP MACRO day_is_over(day) AS (day + INTERVAL 36 HOURS) AT TIME ZONE 'UTC';

-- The day that an instant belongs to on the clock furthest east, fourteen hours before UTC: the latest
-- one that can be meant where the clock is not known.
CREATE OR REPLACE TEMP MACRO easternmost_day(instant) AS
    ((instant + INTERVAL 14 HOURS) AT TIME ZONE 'UTC')::DATE;

-- A text with its marked places filled: chr(1), the number of a word counted from 1, chr(1). No words: as it is.
CREATE OR REPLACE TEMP MACRO filled(marked, words) AS
    CASE WHEN words IS NULL THEN marked
         ELSE array_to_string(list_transform(
             string_split(marked, chr(1)),
             lambda piece, place: CASE WHEN place % 2 = 0 THEN words[try_cast(piece AS BIGINT)] ELSE piece END
         ), '') END;

-- When what is missing is asked for again: soon at first, weekly in the end, and never no more. Odd hours
-- fall short of a whole day, so that a job that runs daily at one time is not a minute too early.
CREATE OR REPLACE TEMP MACRO next_attempt(moment, attempts) AS
    moment + to_hours(least(4 * 2 ** least(attempts - 1, 10), 166)::BIGINT);

-- Dates in a few words: each day, or the first and the last with their number.
CREATE OR REPLACE TEMP MACRO in_few_words(days) AS
    CASE WHEN len(days) <= 3 THEN list_aggregate(days, 'string_agg', ', ')
         ELSE days[1]::VARCHAR || '…' || days[-1]::VARCHAR END;

-- Two spellings of one number: vendors round, and single precision keeps seven digits.
CREATE OR REPLACE TEMP MACRO is_same(a, b) AS abs(a - b) <= 1e-6 * greatest(abs(a), abs(b));

-- A number that can be the price of something.
CREATE OR REPLACE TEMP MACRO is_price(number) AS number > 0 AND isfinite(number);

-- A ratio of two prices of one share, near in time, that no trading makes: 20 times up or down, or no number.
-- Units are mistaken by 100 (pence) or more; the row rules' jump_limit is the same 20.
CREATE OR REPLACE TEMP MACRO is_beyond_belief(ratio) AS NOT coalesce(ratio BETWEEN 1 / 20 AND 20, TRUE);

-- Whether a text can be the symbol of a share or an index.
CREATE OR REPLACE TEMP MACRO is_symbol(name) AS
    regexp_full_match(name, '\^?[A-Z0-9][A-Z0-9.&=-]{0,14}');

-- The names in a cell: of a JSON list of texts or of objects that hold a symbol, or parted by a mark.
CREATE OR REPLACE TEMP MACRO listed(cell, mark) AS
    CASE
        WHEN starts_with(cell, '[') AND json_valid(replace(cell, '''', '"')) THEN list_transform(
            json_extract(replace(cell, '''', '"'), '$[*]'),
            lambda item: coalesce(item ->> '$.ticker', item ->> '$.symbol', item ->> '$.name', item ->> '$')
        )
        WHEN mark IS NULL THEN [cell]
        ELSE string_split(cell, mark)
    END;

-- Whether EDGAR accepts filings at an instant: Monday to Friday, 06:00 to 22:00 New York time, and half an hour
-- longer what was under way.
CREATE OR REPLACE TEMP MACRO edgar_is_open(instant) AS
    isodow(instant AT TIME ZONE 'America/New_York') <= 5
    AND (instant AT TIME ZONE 'America/New_York')::TIME BETWEEN TIME '06:00:00' AND TIME '22:30:00';

-- Whether EDGAR dates a filing by the day `filed` that it accepts at an instant: the same day, or a later one of
-- what came after 17:30 (17 CFR 232.13(a)). punctual: forms that have no exception from that, half an hour later.
CREATE OR REPLACE TEMP MACRO fits_filing_date(instant, filed, punctual) AS
    CASE
        WHEN (instant AT TIME ZONE 'America/New_York')::DATE = filed
            THEN NOT punctual OR (instant AT TIME ZONE 'America/New_York')::TIME <= TIME '18:00:00'
        ELSE
            filed - (instant AT TIME ZONE 'America/New_York')::DATE BETWEEN 1 AND 5
            AND (instant AT TIME ZONE 'America/New_York')::TIME >= TIME '17:30:00'
    END;

-- Whether a guid is that of a filing read from EDGAR as such (tasks/ingest/headlines/filings.py).
CREATE OR REPLACE TEMP MACRO is_filing(guid) AS coalesce(starts_with(guid, 'edgar:'), FALSE);

-- The call that a probability stands for: none where it is nearer to one half than the threshold that the model's
-- evaluation chose (NULL: no call may be made). Who was not judged so has a call for every lean.
CREATE OR REPLACE TEMP MACRO call_of(p_up, judged, threshold) AS
    CASE
        WHEN judged AND NOT coalesce(abs(p_up - 0.5) >= threshold, FALSE) THEN 'no call'
        WHEN p_up >= 0.5 THEN 'up'
        ELSE 'down'
    END;

-- By how many a share has multiplied through the splits after a day: a quote divided by it is on the share
-- basis of today. splits: a list of {ex_date, value} of one ticker, or NULL.
CREATE OR REPLACE TEMP MACRO shares_after(splits, day) AS
    coalesce(list_product(list_transform(
        list_filter(splits, lambda split: split.ex_date > day), lambda split: split.value
    )), 1);

-- The prices of a bar, quoted before `shares` came of one.
CREATE OR REPLACE TEMP MACRO rebased(first, highest, lowest, last, shares) AS
    {'open': first / shares, 'high': highest / shares, 'low': lowest / shares, 'close': last / shares};

-- How far two numbers are apart, as a share of the larger.
CREATE OR REPLACE TEMP MACRO relative_difference(a, b) AS abs(a - b) / greatest(abs(a), abs(b));

-- The largest difference of the four prices of two bars on one share basis.
CREATE OR REPLACE TEMP MACRO bar_difference(a, b) AS greatest(
    relative_difference(a.open, b.open), relative_difference(a.high, b.high),
    relative_difference(a.low, b.low), relative_difference(a.close, b.close)
);

-- What a source's number is to another's that is stored: it revises a worse one's, a better one outranks it, and
-- with one that is not in the order it is in conflict. sources: the best first.
CREATE OR REPLACE TEMP MACRO change_of_source(sources, incoming, stored) AS
    CASE
        WHEN NOT coalesce(list_contains(sources, incoming) AND list_contains(sources, stored), FALSE)
            THEN 'conflict'
        WHEN list_position(sources, incoming) < list_position(sources, stored) THEN 'revised'
        ELSE 'outranked'
    END;

-- A day as files of memberships write it: 2022-06-09, 2022/06/09 or 20220609, midnight behind it or not.
CREATE OR REPLACE TEMP MACRO written_day(words) AS
    CASE
        WHEN try_strptime(trim(words), ['%Y-%m-%d', '%Y/%m/%d', '%Y%m%d', '%Y-%m-%d %H:%M:%S', '%Y-%m-%dT%H:%M:%S'])
            BETWEEN TIMESTAMP '1900-01-01' AND TIMESTAMP '2199-12-31'
            THEN try_strptime(
                trim(words), ['%Y-%m-%d', '%Y/%m/%d', '%Y%m%d', '%Y-%m-%d %H:%M:%S', '%Y-%m-%dT%H:%M:%S']
            )::DATE
    END;

-- Whether a cell says nothing, in any of the ways in which tables are written out.
CREATE OR REPLACE TEMP MACRO is_blank(words) AS
    lower(trim(coalesce(words, ''))) IN ('', '-', 'nat', 'nan', 'none', 'null', 'na', 'n/a');

-- A symbol with its class of shares after a dash, as the vendors of US bars write it: BRK.B, BRK/B and BRK B
-- are BRK-B. Elsewhere a dot parts the exchange off (VOD.L) and stays.
CREATE OR REPLACE TEMP MACRO class_of_shares(symbol, dashed) AS
    CASE WHEN dashed THEN regexp_replace(symbol, '^([A-Z0-9]{1,6})[./ ]([A-Z])$', '\1-\2') ELSE symbol END;
