"""Sources of trajectories, a plug-in each: `collect(config, environment, resources) ->
Trajectories`, and what several share in modules that begin with an underscore.
"""
