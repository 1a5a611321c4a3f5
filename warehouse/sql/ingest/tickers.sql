-- Entity linking: which tickers a title names.


-- name: headline_aliases
-- grain: one row per headline, ticker it names and way it names it (method: cashtag | alias)
-- Names match as whole words with their capitals, the longest at a place winning; decoys ("Amazon
-- rainforest") win like any other and name nobody. A word_name ("Target") is also an English word and
-- counts only before a word of $evidence and not after one of $modifiers, or, where it is several words,
-- with capitals that a sentence would not give them. A bare symbol counts unless it is a word_symbol
-- ("COST"), which needs its $, brackets, exchange or a list of symbols; marked so, any of $tickers counts,
-- known or not. In a title all in capitals only names count. Who makes a statement, such as a bank of
-- $brokers that rates another company, is not its subject, a price target is no Target, and "sells 3M
-- shares" a number.
WITH tokenised AS (
    SELECT
        headline_id,
        published_at::DATE AS day,
        replace(title, '’', '''') AS title,
        title = upper(title) AS shouted,
        regexp_matches(
            title,
            '(?i)\b(price targets?|target price|PT|(over|under)weight|(out|under)perform|neutral|ratings?|(up|down)grade[sd]?|coverage|initiate[sd]?|(strong )?(buy|sell|hold) rating|to (strong )?(buy|sell|hold)|top picks?)\b'
        ) AS rated,
        regexp_extract_all(replace(title, '’', ''''), '[\pL\pN]+(?:[&.''][\pL\pN]+)*|&') AS tokens,
        -- gaps[n] is what stands before token n, and after token n - 1.
        regexp_split_to_array(replace(title, '’', ''''), '[\pL\pN]+(?:[&.''][\pL\pN]+)*|&') AS gaps
    FROM headlines
),

known AS (
    SELECT
        *,
        regexp_extract_all(alias, '[\pL\pN]+(?:[&.''][\pL\pN]+)*|&') AS words,
        coalesce(valid_to, DATE '9999-12-31') AS until
    FROM aliases
),

cased AS (
    SELECT *, FALSE AS shouted FROM known WHERE kind NOT IN ('word_symbol')
    UNION ALL BY NAME
    SELECT * REPLACE (list_transform(words, word -> upper(word)) AS words), TRUE AS shouted
    FROM known
    WHERE kind IN ('name', 'former_name', 'share_class', 'decoy') AND length(alias) > 3
),

placed AS (
    SELECT
        headline_id, day, shouted,
        unnest(tokens) AS token,
        unnest(range(1, len(tokens) + 1)) AS place
    FROM tokenised
),

forms AS (
    SELECT
        *,
        unnest(list_distinct([
            token,
            regexp_replace(token, '''[sS]$', ''),
            -- AstraZeneca and NIKE, where the aliases only know Astrazeneca and Nike.
            CASE
                WHEN NOT shouted AND regexp_matches(token, '^\p{Lu}\pL*\p{Lu}') AND length(token) > 3
                    THEN token[1] || lower(regexp_replace(token, '''[sS]$', '')[2:])
                ELSE token
            END
        ])) AS form
    FROM placed
),

matches AS (
    SELECT
        tokenised.* EXCLUDE (shouted),
        begun.* EXCLUDE (headline_id),
        len(begun.words) AS length,
        begun.first + len(begun.words) - 1 AS last
    FROM (
        SELECT
            forms.headline_id, forms.form, forms.place AS first, cased.ticker, cased.kind, cased.alias, cased.words
        FROM forms
        INNER JOIN cased
            ON
                forms.form = cased.words[1]
                AND forms.shouted = cased.shouted
                AND forms.day BETWEEN cased.valid_from AND cased.until
    ) AS begun
    INNER JOIN tokenised USING (headline_id)
    WHERE
        len(begun.words) = 1
        OR regexp_replace(
            begun.form || ' ' || array_to_string(
                tokenised.tokens[begun.first + 1:begun.first + len(begun.words) - 1], ' '
            ), '''[sS]$', ''
        ) = regexp_replace(array_to_string(begun.words, ' '), '''[sS]$', '')
),

neighboured AS (
    SELECT
        *,
        gaps[first] AS gap_before,
        gaps[last + 1] AS gap_after,
        CASE WHEN trim(gaps[first]) = '' AND first > 1 THEN tokens[first - 1] ELSE '' END AS before,
        lower(coalesce(tokens[last + 1], '')) AS after,
        coalesce(tokens[last + 2], '') AS second_after,
        list_contains($evidence, lower(coalesce(tokens[last + 1], ''))) AS evident,
        -- In a title with capitals everywhere they tell nothing.
        len(list_filter(
            tokens,
            lambda word : regexp_full_match(word, '\p{Ll}{4,}')
            AND NOT list_contains($particles, word)
        )) > 1 AS plainly
    FROM matches
),

spans AS (
    SELECT
        headline_id, ticker, kind, first, last,
        -- "Rates stay low: Harlow" and "Rates stay low - Harlow" say who says so.
        (
            first > $attributed_after
            AND regexp_matches(gap_before, '^[''")]?( ?: ?| +[-–—]+ +)$')
            AND (last = len(tokens) OR regexp_matches(after, '^(analysts?|ceo|economists?|strategists?)$'))
        )
        OR (first = 1 AND list_contains($publishers, ticker) AND regexp_matches(gap_after, '^ ?:'))
        OR (
            list_contains($brokers, ticker)
            AND (
                (
                    rated
                    AND (
                        regexp_matches(
                            after,
                            '^(upgrades?|downgrades?|initiates?|reiterates?|reaffirms?|maintains?|starts|resumes|assumes|raises|lifts|hikes|boosts|cuts|lowers|trims|slashes|ups|sets|keeps|rates|adds|names|analysts?|says|sees|sticks|moves)$'
                        )
                        OR regexp_matches(lower(before), '^(by|at|from)$')
                    )
                )
                -- What it says is a view of others, unless it is of its own business.
                OR (
                    regexp_matches(
                        after,
                        '^(says?|sees|warns?|expects?|predicts?|forecasts?|recommends?|likes|prefers|favou?rs|thinks|believes|reckons|cautions|analysts?|strategists?|economists?)$'
                    )
                    AND NOT regexp_matches(
                        title,
                        '(?i)\b(its?|profits?|earnings|quarter(ly)?|q[1-4]|revenue|trading|dividend|buybacks?|loss(es)?|jobs|staff|layoffs?|bonus(es)?|charges?|fined?|fees|branch(es)?|employees|workers|bankers|clients|customers|ceo|cfo)\b'
                    )
                )
                OR (
                    first = 1
                    AND regexp_matches(gap_after, '^ ?:')
                    AND regexp_matches(
                        title,
                        '(?i)(:\s*(these|this|here|\d+|time to|where|why you)\b|\bstrong buy\b|\btop picks?\b|\bstocks\b)'
                    )
                )
            )
        ) AS speaks
    FROM neighboured
    WHERE
        CASE
            WHEN kind = 'word_name'
                THEN
                    -- "Its Best Earnings", "Barnes & Noble shares", "CEO Jim Hackett to retire"
                    (
                        NOT list_contains($modifiers, lower(before))
                        OR list_contains($forms, after)
                        OR (plainly AND length > 1)
                    )
                    AND before <> '&'
                    AND NOT regexp_matches(before, '''[sS]$')
                    AND NOT (
                        plainly AND first > 2 AND length = 1
                        AND regexp_matches(before, '^\p{Lu}\p{Ll}')
                    )
                    AND (
                        (
                            evident
                            AND (trim(gap_after) = '' OR list_contains($forms, after))
                            AND (plainly OR NOT list_contains($joining, after))
                            AND (
                                -- A price target, whoever lowers it.
                                after NOT IN ('to', 'cut', 'cuts', 'raise', 'raises', 'changes')
                                OR NOT regexp_matches(second_after, '^\d')
                            )
                        )
                        OR (
                            regexp_matches(tokens[last], '''[sS]$')
                            AND (plainly OR evident OR list_contains($evidence, lower(second_after)))
                        )
                        -- Several words with capitals where a sentence has none.
                        OR (plainly AND length > 1)
                    )
            WHEN regexp_full_match(alias, '\d+[MBK]') AND (first > 1 OR NOT regexp_matches(after, '^(shares?|in)$'))
                THEN NOT (
                    regexp_matches(
                        after,
                        '^((common |preferred )?shares?|units|users|people|customers|barrels|tons|subscribers|jobs|vehicles|cars|homes|in)$'
                    )
                    AND NOT regexp_matches(
                        lower(second_after),
                        '^(falls?|fell|rises?|rose|drops?|jumps?|slip|gain|climb|tumble|slide|surge|sink|plunge|trade|are|were|have|should)'
                    )
                )
            ELSE TRUE
        END
),

named AS (
    SELECT headline_id, ticker, 'alias' AS method
    FROM spans
    WHERE
        kind <> 'decoy'
        AND NOT coalesce(speaks, FALSE)
        AND NOT EXISTS (
            SELECT 1
            FROM spans AS longer
            WHERE
                longer.headline_id = spans.headline_id
                AND longer.first <= spans.first
                AND longer.last >= spans.last
                AND longer.last - longer.first > spans.last - spans.first
        )
),

marked AS (
    SELECT
        headline_id, day,
        unnest(
            regexp_extract_all(title, '\$([A-Z]{1,5}(?:[.-][A-Z]{1,2})?)\b', 1)
            || regexp_extract_all(title, '\(([A-Z]{1,5}(?:[.-][A-Z]{1,2})?)\)', 1)
            || regexp_extract_all(
                title,
                '(?i:NYSE|NASDAQ|AMEX|ARCA|OTC|OTCMKTS|OTCQ[BX]|CBOE|BATS)(?i:[ -]?(?:American|Arca|MKT|GS|GM|CM))?\s?:\s?([A-Z]{1,5}(?:[.-][A-Z]{1,2})?)\b',
                1
            )
        ) AS symbol
    FROM tokenised
),

-- "Option activity: TSLA, ROKU, BOX": a list of symbols is one when nearly all of them are.
listed AS (
    SELECT
        headline_id, day, enumeration,
        unnest(list_distinct(regexp_extract_all(enumeration, '[A-Z]+'))) AS symbol
    FROM (
        SELECT
            headline_id, day,
            unnest(
                regexp_extract_all(title, '\b[A-Z]{1,5}(?:, [A-Z]{1,5}\b)+(?:,? and [A-Z]{1,5}\b)?')
            ) AS enumeration
        FROM tokenised
        WHERE NOT shouted
    )
),

symbols AS (
    SELECT headline_id, day, symbol FROM marked
    UNION
    SELECT headline_id, day, unnest(symbols)
    FROM (
        SELECT
            headline_id, day, enumeration,
            list(symbol) AS symbols,
            list(symbol) FILTER (
                symbol IN (
                    SELECT alias FROM known WHERE kind IN ('symbol', 'word_symbol', 'former_symbol')
                )
            ) AS of_known
        FROM listed
        GROUP BY headline_id, day, enumeration
    )
    WHERE
        len(symbols) > 2
        AND len(of_known) >= len(symbols) - 1
        -- "US, UK, EU" are symbols too.
        AND len(list_filter(of_known, lambda symbol : length(symbol) > 2)) > 1
),

tagged AS (
    SELECT symbols.headline_id, known.ticker, 'cashtag' AS method
    FROM symbols
    INNER JOIN known
        ON
            symbols.symbol = known.alias
            AND symbols.day BETWEEN known.valid_from AND known.until
            AND known.kind IN ('symbol', 'word_symbol', 'former_symbol')
    UNION ALL
    SELECT headline_id, asked.ticker, 'cashtag' AS method
    FROM symbols
    INNER JOIN (SELECT unnest($tickers::VARCHAR[]) AS ticker) AS asked
        ON symbols.symbol IN (asked.ticker, replace(asked.ticker, '-', '.'))
    WHERE asked.ticker NOT IN (SELECT alias FROM known)
),

found AS (
    SELECT * FROM named
    UNION ALL
    SELECT * FROM tagged
),

-- A caller who knows a company by its later symbol gets the headlines of its earlier one too.
succeeded AS (
    SELECT
        found.headline_id,
        CASE
            WHEN $tickers IS NULL OR list_contains($tickers, found.ticker) THEN found.ticker
            WHEN list_contains($tickers, successors.ticker) THEN successors.ticker
        END AS ticker,
        found.method
    FROM found
    LEFT JOIN (SELECT ticker, alias FROM aliases WHERE kind = 'former_symbol') AS successors
        ON found.ticker = successors.alias
)

SELECT
    headline_id, ticker,
    max(method) AS method
FROM succeeded
WHERE ticker IS NOT NULL
GROUP BY headline_id, ticker
ORDER BY headline_id, ticker;


-- name: alias_coverage
-- grain: one row per asked ticker, in the order asked
-- found_by: name | name with evidence | marked symbol
SELECT
    asked.ticker,
    CASE
        WHEN bool_or(kind IN ('name', 'symbol', 'share_class')) THEN 'name'
        WHEN bool_or(kind = 'word_name') THEN 'name with evidence'
        ELSE 'marked symbol'
    END AS found_by,
    string_agg(DISTINCT alias, ', ' ORDER BY alias)
    FILTER (WHERE kind NOT IN ('symbol', 'word_symbol', 'former_symbol')) AS names
FROM (SELECT unnest($tickers::VARCHAR[]) AS ticker, unnest(range(len($tickers))) AS place) AS asked
LEFT JOIN aliases USING (ticker)
GROUP BY asked.ticker, asked.place
ORDER BY asked.place;


-- name: declared_tickers_spelled
-- grain: one row per headline and ticker, those that a vendor lists under our spelling of the symbol
-- BRK.B is BRK-B, on the days on which that was a symbol.
WITH spelled AS (
    SELECT
        pairs.headline_id, pairs.method,
        coalesce(known.ticker, pairs.ticker) AS ticker
    FROM pairs
    INNER JOIN headlines USING (headline_id)
    LEFT JOIN aliases AS known
        ON
            pairs.method = 'declared'
            AND pairs.ticker = known.alias
            AND known.kind IN ('symbol', 'word_symbol')
            AND headlines.published_at::DATE
            BETWEEN known.valid_from AND coalesce(known.valid_to, DATE '9999-12-31')
)

SELECT
    headline_id, ticker,
    min(method) AS method
FROM spelled
GROUP BY headline_id, ticker
ORDER BY headline_id, ticker;
