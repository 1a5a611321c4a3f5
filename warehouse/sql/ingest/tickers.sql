-- Entity linking: which tickers a title names.


-- name: headline_aliases
-- grain: one row per headline, ticker it names and way it names it (method: cashtag | alias)
-- Names match as whole words with their capitals, the longest at a place winning; decoys ("Amazon
-- rainforest") win like any other and name nobody. A word_name ("Target") is also an English word and
-- counts only before a word of $evidence. A bare symbol counts unless it is a word_symbol ("COST"),
-- which needs its $, brackets or exchange; marked so, any of $tickers counts, known or not. In a title
-- all in capitals only names count. A bank of $brokers that rates another company is not the subject, a
-- price target is no Target, and "sells 3M shares" a number.
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
        regexp_extract_all(
            replace(title, '’', ''''), '[\pL\pN]+(?:[&.''][\pL\pN]+)*|&'
        ) AS tokens
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
        headline_id, day, shouted, rated, tokens,
        unnest(tokens) AS token,
        unnest(range(1, len(tokens) + 1)) AS place
    FROM tokenised
),

forms AS (
    SELECT *, unnest(list_distinct([token, regexp_replace(token, '''[sS]$', '')])) AS form
    FROM placed
),

spans AS (
    SELECT
        forms.headline_id, cased.ticker, cased.kind, forms.place AS first,
        forms.place + len(cased.words) - 1 AS last,
        forms.rated AND list_contains($brokers, cased.ticker) AND (
            regexp_matches(
                lower(coalesce(forms.tokens[forms.place + len(cased.words)], '')),
                '^(upgrades?|downgrades?|initiates?|reiterates?|reaffirms?|maintains?|starts|resumes|assumes|raises|lifts|hikes|boosts|cuts|lowers|trims|slashes|ups|sets|keeps|rates|adds|names|analysts?|says|sees|sticks|moves)$'
            )
            OR regexp_matches(
                lower(coalesce(forms.tokens[forms.place - 1], '')), '^(by|at|from)$'
            )
        ) AS rates
    FROM forms
    INNER JOIN cased
        ON
            forms.form = cased.words[1]
            AND forms.shouted = cased.shouted
            AND forms.day BETWEEN cased.valid_from AND cased.until
    WHERE
        CASE
            WHEN len(cased.words) = 1 THEN TRUE
            ELSE
                regexp_replace(
                    array_to_string(
                        forms.tokens[forms.place:forms.place + len(cased.words) - 1], ' '
                    ), '''[sS]$', ''
                ) = regexp_replace(array_to_string(cased.words, ' '), '''[sS]$', '')
        END
        AND CASE
            WHEN cased.kind = 'word_name'
                THEN
                    forms.token <> forms.form
                    OR (
                        list_contains(
                            $evidence, lower(forms.tokens[forms.place + len(cased.words)])
                        )
                        AND NOT regexp_matches(
                            coalesce(forms.tokens[forms.place + len(cased.words) + 1], ''), '^\d'
                        )
                        AND lower(coalesce(forms.tokens[forms.place - 1], '')) <> 'price'
                    )
            WHEN regexp_full_match(cased.alias, '\d+[MBK]')
                AND (
                    forms.place > 1
                    OR NOT regexp_matches(
                        coalesce(forms.tokens[forms.place + 1], ''), '^(?i:shares?|in)$'
                    )
                )
                THEN NOT (
                    regexp_matches(
                        coalesce(forms.tokens[forms.place + 1], ''),
                        '^(?i:(common |preferred )?shares?|units|users|people|customers|barrels|tons|subscribers|jobs|vehicles|cars|homes|in)$'
                    )
                    AND NOT regexp_matches(
                        lower(coalesce(forms.tokens[forms.place + 2], '')),
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
        AND NOT coalesce(rates, FALSE)
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

tagged AS (
    SELECT marked.headline_id, known.ticker, 'cashtag' AS method
    FROM marked
    INNER JOIN known
        ON
            marked.symbol = known.alias
            AND marked.day BETWEEN known.valid_from AND known.until
            AND known.kind IN ('symbol', 'word_symbol', 'former_symbol')
    UNION ALL
    SELECT headline_id, asked.ticker, 'cashtag' AS method
    FROM marked
    INNER JOIN (SELECT unnest($tickers::VARCHAR[]) AS ticker) AS asked
        ON marked.symbol IN (asked.ticker, replace(asked.ticker, '-', '.'))
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
