-- A realistic schema, for tests of shapes that are made like existing tables: a shop with tenants.
CREATE SCHEMA crm;
CREATE SCHEMA "Odd Place";

CREATE TYPE public.order_status AS ENUM ('new', 'paid', 'shipped', 'cancelled');
CREATE TYPE crm.channel AS ENUM ('web', 'shop', 'it''s "other"');
CREATE DOMAIN public.email AS text CHECK (VALUE LIKE '%@%');
CREATE DOMAIN public.positive_amount AS numeric(12, 2) NOT NULL CHECK (VALUE > 0);
CREATE DOMAIN public.country AS char(2) CHECK (VALUE ~ '^[A-Z]{2}$');
CREATE DOMAIN crm.kind AS crm.channel;

CREATE FUNCTION public.audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE FUNCTION public.short_code() RETURNS text LANGUAGE sql AS $$ SELECT 'x' || random()::text $$;
CREATE FUNCTION public.slug(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT lower($1) $$;

CREATE TABLE crm.tenants (
    id smallint PRIMARY KEY,
    name text NOT NULL UNIQUE
);

-- 1: identity, domains, a user function's default, a trigger, an index on a user's function
CREATE TABLE crm.customers (
    tenant_id smallint NOT NULL REFERENCES crm.tenants ON DELETE CASCADE,
    id bigint GENERATED ALWAYS AS IDENTITY (START WITH 1000 CACHE 20),
    public_id uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE,
    email public.email NOT NULL,
    country public.country,
    channel crm.kind NOT NULL DEFAULT 'web',
    code text NOT NULL DEFAULT public.short_code(),
    marketing boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    PRIMARY KEY (id)
) WITH (fillfactor = 85);
CREATE UNIQUE INDEX customers_email_key ON crm.customers (tenant_id, lower(email::text));
CREATE INDEX customers_slug ON crm.customers (public.slug(code));
CREATE INDEX customers_alive ON crm.customers (created_at) WHERE deleted_at IS NULL;
CREATE TRIGGER audited BEFORE INSERT ON crm.customers FOR EACH ROW EXECUTE FUNCTION public.audit();

-- 2: serial, enum, generated column, checks that rows satisfy and one that they do not, two FKs
CREATE TABLE public.orders (
    id bigserial PRIMARY KEY,
    customer_id bigint NOT NULL REFERENCES crm.customers (id),
    billed_to bigint REFERENCES crm.customers (id),
    status public.order_status NOT NULL DEFAULT 'new',
    net public.positive_amount,
    tax numeric(12, 2) NOT NULL DEFAULT 0 CHECK (tax >= 0),
    gross numeric(14, 2) GENERATED ALWAYS AS (net::numeric + tax) STORED,
    currency char(3) NOT NULL CHECK (currency IN ('EUR', 'USD', 'GBP')),
    placed_on date NOT NULL DEFAULT CURRENT_DATE,
    shipped_on date,
    note varchar(200),
    CONSTRAINT dates_in_order CHECK (shipped_on > placed_on),
    CONSTRAINT paid_or_not CHECK (status = ANY (ARRAY['new', 'paid', 'shipped',
        'cancelled']::public.order_status[]))
);
CREATE INDEX orders_customer ON public.orders (customer_id);
CREATE INDEX orders_open ON public.orders (placed_on, id) INCLUDE (net)
    WHERE status = 'new'::public.order_status;
CREATE INDEX orders_status ON public.orders (status, placed_on DESC NULLS LAST) WITH (fillfactor = 70);

-- 3: a composite key made of foreign keys (many to many)
CREATE TABLE public.order_tags (
    order_id bigint NOT NULL REFERENCES public.orders,
    tag_id int NOT NULL,
    added_by text COLLATE "C",
    PRIMARY KEY (order_id, tag_id)
);
CREATE TABLE public.tags (id int PRIMARY KEY, name text NOT NULL);
ALTER TABLE public.order_tags ADD FOREIGN KEY (tag_id) REFERENCES public.tags
    DEFERRABLE INITIALLY DEFERRED;

-- 4: composite foreign keys that share a column, a key of tenant and number
CREATE TABLE crm.users (
    tenant_id smallint NOT NULL REFERENCES crm.tenants,
    id int NOT NULL,
    login text NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, login)
);
CREATE TABLE crm.teams (tenant_id smallint, id int, PRIMARY KEY (tenant_id, id));
CREATE TABLE crm.tickets (
    tenant_id smallint NOT NULL REFERENCES crm.tenants,
    number int NOT NULL,
    opened_by int NOT NULL,
    team_id int,
    priority smallint NOT NULL CHECK (priority BETWEEN 1 AND 5),
    labels text[] NOT NULL DEFAULT '{}',
    scores numeric(5, 2)[],
    history jsonb NOT NULL DEFAULT '[]',
    PRIMARY KEY (tenant_id, number),
    FOREIGN KEY (tenant_id, opened_by) REFERENCES crm.users,
    FOREIGN KEY (tenant_id, team_id) REFERENCES crm.teams
);
CREATE INDEX tickets_labels ON crm.tickets USING gin (labels);
CREATE INDEX tickets_history ON crm.tickets USING gin (history jsonb_path_ops);

-- 5: range partitions with a default, key over several columns, sequence shared with nobody
CREATE SEQUENCE public.event_numbers AS int INCREMENT BY 10 CACHE 50;
CREATE TABLE public.events (
    id int NOT NULL DEFAULT nextval('public.event_numbers'),
    happened_at timestamptz NOT NULL DEFAULT now(),
    source inet NOT NULL,
    payload jsonb NOT NULL,
    PRIMARY KEY (happened_at, id)
) PARTITION BY RANGE (happened_at);
CREATE TABLE public.events_2026_09 PARTITION OF public.events
    FOR VALUES FROM ('2026-09-01 00:00+00') TO ('2026-10-01 00:00+00') WITH (fillfactor = 90);
CREATE TABLE public.events_2026_10 PARTITION OF public.events
    FOR VALUES FROM ('2026-10-01 00:00+00') TO ('2026-11-01 00:00+00');
CREATE TABLE public.events_other PARTITION OF public.events DEFAULT;
CREATE INDEX events_source ON public.events (source);

-- 6: list partitions by an enum
CREATE TABLE crm.contacts (
    channel crm.channel NOT NULL,
    id uuid NOT NULL,
    at timestamp(3) NOT NULL,
    lasted interval,
    PRIMARY KEY (channel, id)
) PARTITION BY LIST (channel);
CREATE TABLE crm.contacts_web PARTITION OF crm.contacts FOR VALUES IN ('web');
CREATE TABLE crm.contacts_rest PARTITION OF crm.contacts FOR VALUES IN ('shop', 'it''s "other"');

-- 7: hash partitions, no key at all
CREATE TABLE public.measurements (
    device int NOT NULL,
    at timestamptz NOT NULL,
    value double precision,
    quality real,
    raw bytea
) PARTITION BY HASH (device);
CREATE TABLE public.measurements_0 PARTITION OF public.measurements FOR VALUES WITH (MODULUS 3, REMAINDER 0);
CREATE TABLE public.measurements_1 PARTITION OF public.measurements FOR VALUES WITH (MODULUS 3, REMAINDER 1);
CREATE TABLE public.measurements_2 PARTITION OF public.measurements FOR VALUES WITH (MODULUS 3, REMAINDER 2);
CREATE INDEX measurements_at ON public.measurements USING brin (at);

-- 8: every common type, names that need quotes, storage and compression
CREATE TABLE "Odd Place"."All ""Types""" (
    "Id" int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    metadata json, "select" smallint, big bigint, money_ money, plain numeric, exact numeric(8, 3),
    single real, "double" double precision, flag boolean, one_char "char", fixed char(7),
    short varchar(12), long text, bytes bytea, day date, hour time, zoned time with time zone,
    local timestamp, moment timestamptz(0), span interval, address inet, net cidr, mac macaddr,
    bits bit(5), more_bits bit varying(20), key uuid, doc jsonb, markup xml, search tsvector,
    spot point, area box, disc circle, ints int[], texts text[], moments timestamptz[],
    docs jsonb[], keys uuid[], grid int[][], moods public.order_status[],
    months int4range, days daterange, price numrange, mail public.email, mails public.email[]
);
ALTER TABLE "Odd Place"."All ""Types""" ALTER COLUMN long SET STORAGE EXTERNAL;
CREATE INDEX "by search" ON "Odd Place"."All ""Types""" USING gin (search);
CREATE INDEX ON "Odd Place"."All ""Types""" USING hash (short);

-- 9: a key that is a foreign key (one to one), self-reference, exclusion, row security, a rule
CREATE TABLE public.shipments (
    order_id bigint PRIMARY KEY REFERENCES public.orders,
    replaces bigint REFERENCES public.shipments,
    carrier text NOT NULL,
    tracking varchar(30) NOT NULL,
    during tstzrange NOT NULL,
    weight_grams int CHECK (weight_grams > 0 AND weight_grams <= 31500),
    EXCLUDE USING gist (during WITH &&),
    UNIQUE NULLS NOT DISTINCT (carrier, tracking)
);
ALTER TABLE public.shipments ENABLE ROW LEVEL SECURITY;
CREATE POLICY everybody ON public.shipments USING (true);
CREATE RULE quiet AS ON DELETE TO public.shipments DO INSTEAD NOTHING;

-- 10: sixty columns
CREATE TABLE public.wide (
    id bigserial PRIMARY KEY,
    status public.order_status NOT NULL,
    checked numeric(10, 2) GENERATED ALWAYS AS (c03 * 2) STORED,
    c01 bigint NOT NULL,
    c02 text NOT NULL,
    c03 numeric(10, 2),
    c04 boolean NOT NULL,
    c05 timestamptz NOT NULL,
    c06 varchar(40),
    c07 date NOT NULL,
    c08 int NOT NULL,
    c09 bigint,
    c10 text NOT NULL,
    c11 numeric(10, 2) NOT NULL,
    c12 boolean,
    c13 timestamptz NOT NULL,
    c14 varchar(40) NOT NULL,
    c15 date,
    c16 int NOT NULL,
    c17 bigint NOT NULL,
    c18 text,
    c19 numeric(10, 2) NOT NULL,
    c20 boolean NOT NULL,
    c21 timestamptz,
    c22 varchar(40) NOT NULL,
    c23 date NOT NULL,
    c24 int,
    c25 bigint NOT NULL,
    c26 text NOT NULL,
    c27 numeric(10, 2),
    c28 boolean NOT NULL,
    c29 timestamptz NOT NULL,
    c30 varchar(40),
    c31 date NOT NULL,
    c32 int NOT NULL,
    c33 bigint,
    c34 text NOT NULL,
    c35 numeric(10, 2) NOT NULL,
    c36 boolean,
    c37 timestamptz NOT NULL,
    c38 varchar(40) NOT NULL,
    c39 date,
    c40 int NOT NULL,
    c41 bigint NOT NULL,
    c42 text,
    c43 numeric(10, 2) NOT NULL,
    c44 boolean NOT NULL,
    c45 timestamptz,
    c46 varchar(40) NOT NULL,
    c47 date NOT NULL,
    c48 int,
    c49 bigint NOT NULL,
    c50 text NOT NULL,
    c51 numeric(10, 2),
    c52 boolean NOT NULL,
    c53 timestamptz NOT NULL,
    c54 varchar(40),
    c55 date NOT NULL,
    c56 int NOT NULL,
    c57 bigint
);
CREATE INDEX wide_c01 ON public.wide (c01);
CREATE INDEX wide_c02_c03 ON public.wide (c02, c03);
CREATE INDEX wide_c58 ON public.wide (c57) WHERE c04;

INSERT INTO crm.tenants SELECT n, 'tenant ' || n FROM generate_series(1, 20) AS n;
INSERT INTO crm.customers (tenant_id, email, country, channel, deleted_at)
    SELECT 1 + n % 20, 'c' || n || '@example.org', CASE WHEN n % 4 > 0 THEN 'DE' END,
           (ARRAY['web', 'shop'])[1 + n % 2]::crm.channel,
           CASE WHEN n % 10 = 0 THEN now() END
    FROM generate_series(1, 2000) AS n;
INSERT INTO public.orders (customer_id, status, net, tax, currency, note)
    SELECT 1000 + n % 2000, 'paid', 1 + n % 500, 1, 'EUR', repeat('n', n % 80)
    FROM generate_series(1, 5000) AS n;
INSERT INTO public.events (happened_at, source, payload)
    SELECT '2026-09-15'::timestamptz + n * interval '1 hour', '10.0.0.1', '{"a": 1}'
    FROM generate_series(1, 500) AS n;
INSERT INTO public.tags SELECT n, 'tag ' || n FROM generate_series(1, 50) AS n;
INSERT INTO public.order_tags SELECT 1 + n % 5000, 1 + n / 5000, NULL FROM generate_series(0, 20000) AS n;
