"""Stored posts analysed by Spark, from a script, a notebook or `starling analyze`.

    from analysis.posts import posts
    from analysis.session import session
    from analysis.traits import top_hashtags

    spark = session()
    top_hashtags(posts(spark, "2012-hurricane-sandy")).show()

    versions    what must fit together
    session     a Spark session that reaches Cassandra
    posts       the posts of events in a period, read from their partitions alone
    words, times, traits, accounts, networks, places
                the analyses: each takes posts and gives a DataFrame
    catalogue   all of them by name
    results     what was found, as rows or as a file
    run         one analysis from name to rows
    progress    how far Spark is
    plots       what was found as a picture; `drawing` is how each is drawn, `layout` where the nodes of networks stand,
                `caveats` what a picture says of how complete it is

No worker imports any of this: what collects needs no Spark.
"""
